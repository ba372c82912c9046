"""A model's chat: its template, the ids of a conversation, and the tokens that end an answer."""

import contextlib
import dataclasses
import functools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from keras_transformer.zoo.chat.messages import (
    ASSISTANT,
    SYSTEM,
    USER,
    Message,
    checked_messages,
)
from keras_transformer.zoo.chat.template import has_jinja, render
from keras_transformer.zoo.chat.turns import Turns, derived_turns
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer

TEMPLATE_FILE, CHAT_FILE = "chat_template.jinja", "chat.json"
FILE_NAMES = frozenset((TEMPLATE_FILE, CHAT_FILE))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chat:
    """A chat template and what a device needs of it.

    Attributes:
        template: Jinja2 template, as published.
        tokens: special tokens by their names in the template, such as `bos_token`.
        ends: tokens that end an answer beside the vocabulary's own end and the template's.
        left, right: tokens that take the white space before and behind them.
        spaced: whether the prefix space of the tokenizer, if it has any, precedes each part of a
            conversation rather than its beginning alone.
        turns: texts around messages; None where the template is needed.
        reason: why there are none; empty if nobody has tried.
    """

    template: str
    tokens: Mapping[str, str] = dataclasses.field(default_factory=dict)
    ends: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    right: tuple[str, ...] = ()
    spaced: bool = True
    turns: Turns | None = None
    reason: str = ""

    def derived(self) -> Self:
        """Returns the chat with its turns, or with the reason why it has none.

        Without Jinja2 nothing is tried.
        """
        if self.turns is not None or self.reason or not has_jinja():
            return self
        try:
            return dataclasses.replace(self, turns=derived_turns(self._render))
        except InputError as error:
            return dataclasses.replace(self, reason=str(error))

    def text(self, messages: Iterable[Any], *, by_turns: bool = False) -> str:
        """Returns a conversation's text, up to where the model's answer begins.

        Args:
            messages: objects of `role` and `content`.
            by_turns: whether the turns write it, where there are any, rather than the template.

        Raises:
            InputError, TypeError: if the messages do not fit, the template is broken, or Jinja2 is
                needed and not installed.
        """
        checked = checked_messages(messages)
        if by_turns and self.turns is not None:
            return self.turns.text(checked)
        if self.reason and not has_jinja():
            raise InputError(
                "Expected jinja2, which is not installed, for a chat template that cannot do "
                f"without: {self.reason[0].lower()}{self.reason[1:]}"
            )
        return self._render(checked)

    def ids(self, text: str, tokenizer: Tokenizer) -> list[int]:
        """Returns the ids of a conversation's text, whose special tokens are read as tokens."""
        parts = self._parts(text, tokenizer)
        inside = tokenizer if self.spaced else _unspaced(tokenizer)
        found: list[int] = []
        for place, part in enumerate(parts):
            if place % 2:
                found.append(tokenizer.model.piece_ids[part])
            elif part:
                found += (inside if place else tokenizer).pieces([part])[0]
        return found

    def read_with(self, texts: Iterable[str], tokenizer: Tokenizer) -> list[str]:
        """Returns what stands between special tokens where each text is a user's message.

        A vocabulary that is pruned to texts needs the pieces of the template's own words too.
        """
        asked = [[{"role": USER, "content": text}] for text in texts]
        more = [{"role": USER, "content": "."}, {"role": ASSISTANT, "content": "."}]
        found = [self.text([*more, *one], by_turns=True) for one in asked]
        with contextlib.suppress(InputError):  # of a template without messages of the system
            system = {"role": SYSTEM, "content": "."}
            found += [self.text([system, *one], by_turns=True) for one in asked[:1]]
        found += [self.text(one, by_turns=True) for one in asked]
        return [part for text in found for part in self._parts(text, tokenizer)[::2] if part]

    def _parts(self, text: str, tokenizer: Tokenizer) -> list[str]:
        """The parts of a conversation's text, of which every second one is a special token."""
        names = _special_names(tokenizer)
        parts = re.split(f"({'|'.join(map(re.escape, names))})", text)
        for place in range(1, len(parts), 2):
            if parts[place] in self.left:
                parts[place - 1] = parts[place - 1].rstrip()
            if parts[place] in self.right:
                parts[place + 1] = parts[place + 1].lstrip()
        return parts

    def end_ids(self, tokenizer: Tokenizer) -> set[int]:
        """Returns the ids of the tokens that end an answer."""
        ends, turns = set(self.ends), self.derived().turns
        if turns is not None:
            found = re.match("|".join(map(re.escape, _special_names(tokenizer))), turns.model_end)
            ends |= {found.group()} if found else set()
        piece_ids = tokenizer.model.piece_ids
        return {tokenizer.sep_id, *(piece_ids[end] for end in ends if end in piece_ids)}

    def to_files(self) -> dict[str, bytes]:
        """Returns the files for `from_files` by name."""
        derived = self.derived()
        values = {
            "tokens": dict(derived.tokens), "ends": derived.ends, "left": derived.left,
            "right": derived.right, "spaced": derived.spaced, "reason": derived.reason,
            "turns": None if derived.turns is None else derived.turns.to_json(),
        }  # fmt: skip
        text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
        return {TEMPLATE_FILE: self.template.encode(), CHAT_FILE: text.encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self | None:
        """Creates a chat from the result of `to_files`, which may include other files.

        Returns:
            The chat; None if there is none.

        Raises:
            InputError: if the files are damaged.
        """
        present = FILE_NAMES & set(files)
        if not present:
            return None
        if present != FILE_NAMES:
            raise InputError(
                f"Expected {TEMPLATE_FILE} and {CHAT_FILE}, got {', '.join(present)} alone."
            )
        try:
            template, values = files[TEMPLATE_FILE].decode(), json.loads(files[CHAT_FILE])
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"Expected {TEMPLATE_FILE} and {CHAT_FILE} to be text and JSON, got an error: "
                f"{error}."
            ) from None
        return cls._from_json(template, values)

    @classmethod
    def _from_json(cls, template: str, values: Any) -> Self:
        names = {field.name for field in dataclasses.fields(cls)} - {"template"}
        if not isinstance(values, dict) or set(values) != names:
            raise InputError(
                f"Expected {CHAT_FILE} to be an object of {', '.join(sorted(names))}, got "
                f"{values!r}."
            )
        for name in ("ends", "left", "right"):
            if not isinstance(values[name], list) or not all(map(_is_text, values[name])):
                raise InputError(f"Expected {name} of {CHAT_FILE} to be texts, got {values[name]}.")
        tokens = values["tokens"]
        if not isinstance(tokens, dict) or not all(map(_is_text, tokens.values())):
            raise InputError(f"Expected tokens of {CHAT_FILE} to be texts by name, got {tokens!r}.")
        if not isinstance(values["spaced"], bool) or not _is_text(values["reason"]):
            raise InputError(
                f"Expected {CHAT_FILE} to say whether parts are spaced and a reason, got "
                f"{values['spaced']!r} and {values['reason']!r}."
            )
        return cls(
            template=template, tokens=tokens, ends=tuple(values["ends"]), spaced=values["spaced"],
            left=tuple(values["left"]), right=tuple(values["right"]), reason=values["reason"],
            turns=None if values["turns"] is None else Turns.from_json(values["turns"]),
        )  # fmt: skip

    def _render(self, messages: Sequence[Message], **options: Any) -> str:
        return render(self.template, messages, self.tokens, **options)


def _special_names(tokenizer: Tokenizer) -> list[str]:
    """Names of the tokens that are read in a conversation, the longest first."""
    names = {*tokenizer.config.special.names, *(tokenizer.config.added or ())}
    # Padding is masked, and may be a name of ours that no published text means.
    return sorted(names - {tokenizer.config.special.pad}, key=len, reverse=True)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


@functools.lru_cache(maxsize=4)
def _unspaced(tokenizer: Tokenizer) -> Tokenizer:
    """The tokenizer of what does not begin a text."""
    if not tokenizer.config.prefix_space:
        return tokenizer
    config = dataclasses.replace(tokenizer.config, prefix_space=False)
    return Tokenizer(config, tokenizer.vocabulary)
