"""Turns: what stands around the messages of a conversation, as texts rather than a template."""

import dataclasses
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from keras_transformer.zoo.chat.messages import ASSISTANT, SYSTEM, USER, Message
from keras_transformer.zoo.chat.template import today
from keras_transformer.zoo.errors import InputError

Render = Callable[..., str]
# Around a form of `strftime` in a text.
_NOW = "\ue000", "\ue001"
_FORM = re.compile(f"{_NOW[0]}(.*?){_NOW[1]}", re.DOTALL)
_TEXTS = ("opening", "reply", "again", "answer", "user_end", "model_end")
_ROLES = (SYSTEM, USER, ASSISTANT)
# Contents that templates are known to change.
_ODD = ("  spaced\n ", "<think>\nso\n</think>\n\nyes", "", "a {b} <|c|> 'd'", "Ünï\n\ncode")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Turns:
    """Texts around the messages of a conversation: the user's and the model's in turn.

    A form of `strftime` between U+E000 and U+E001 stands for the present time.

    Attributes:
        opening: before the first message of the user.
        system: before and behind the system's message, the latter up to the user's first one; None
            where there can be no system's.
        reply: between a message of the user and the model's.
        again: between a message of the model and the user's next.
        answer: behind the user's last message.
        user_end: of `reply`, the part that ends the user's turn.
        model_end: of `again`, the part that ends the model's.
        trimmed: roles whose messages lose the white space around them.
    """

    opening: str
    reply: str
    again: str
    answer: str
    user_end: str
    model_end: str
    system: tuple[str, str] | None = None
    trimmed: tuple[str, ...] = ()

    def text(self, messages: Sequence[Message], now: Callable[[str], str] = today) -> str:
        """Returns a conversation's text.

        Raises:
            InputError: if the messages are not in turn, or the system's is not first.
        """
        roles = [message["role"] for message in messages]
        has_system = roles[:1] == [SYSTEM]
        turns = itertools.cycle((USER, ASSISTANT))
        expected = [*[SYSTEM] * has_system, *itertools.islice(turns, len(roles) - has_system)]
        if roles != expected or roles[-1] != USER:
            raise InputError(
                "Expected an optional message of the system and then those of the user and the "
                f"assistant in turn, the user's last, got {', '.join(roles)}."
            )
        if has_system and self.system is None:
            raise InputError("Expected no message of the system, which the model's chat lacks.")
        contents = [
            message["content"].strip() if message["role"] in self.trimmed else message["content"]
            for message in messages
        ]
        before = [self.opening]
        if has_system and self.system is not None:
            before = list(self.system)
        turns = itertools.cycle((self.reply, self.again))
        before += itertools.islice(turns, len(contents) - len(before))
        fixed = [_FORM.sub(lambda found: now(found[1]), text) for text in (*before, self.answer)]
        parts = itertools.zip_longest(fixed, contents, fillvalue="")
        return "".join(part for pair in parts for part in pair)

    def affixes(self, start: str) -> dict[str, tuple[str, str]]:
        """Returns a prefix and a suffix by role, for a host that joins them around messages.

        The user's and the model's are there, and the system's where it has a turn of its own.

        Args:
            start: text of a token that the host writes first.

        Raises:
            InputError: if they are not all that stands around messages.
        """
        user = self.again.removeprefix(self.model_end)
        model = self.answer.removeprefix(self.user_end)
        if any(_FORM.search(text) for text in self.fixed):
            raise InputError("Expected a chat template without the date, got one that writes it.")
        if self.opening != start + user:
            raise InputError(
                f"Expected a chat template that opens with {start + user!r}, got {self.opening!r}."
            )
        if (self.again, self.answer) != (self.model_end + user, self.user_end + model) or (
            self.reply != self.answer
        ):
            raise InputError(
                "Expected a chat template of the same texts around each message, got "
                f"{self.reply!r}, {self.again!r} and {self.answer!r}."
            )
        found = {USER: (user, self.user_end), ASSISTANT: (model, self.model_end)}
        before, behind = self.system or ("", "")
        if before.startswith(start) and behind.endswith(user):
            if self.system is not None:
                found[SYSTEM] = before.removeprefix(start), behind.removesuffix(user)
        return found

    @property
    def fixed(self) -> list[str]:
        """All texts around messages."""
        return [*(getattr(self, name) for name in _TEXTS), *(self.system or ())]

    def to_json(self) -> dict[str, Any]:
        """Returns the texts as a JSON-serializable object."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Creates turns from the result of `to_json`.

        Raises:
            InputError: if the value is not such an object.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        fits = isinstance(value, Mapping) and set(value) == names
        if fits:
            system, trimmed = value["system"], value["trimmed"]
            fits = (
                all(isinstance(value[name], str) for name in _TEXTS)
                and (system is None or (_are_texts(system) and len(system) == 2))
                and _are_texts(trimmed)
                and set(trimmed) <= set(_ROLES)
            )
        if not fits:
            raise InputError(f"Expected turns of a chat to be an object of texts, got {value!r}.")
        system = None if value["system"] is None else tuple(value["system"])
        return cls(**{**value, "system": system, "trimmed": tuple(value["trimmed"])})


def derived_turns(render: Render) -> Turns:
    """Returns the texts that a template puts around messages, once some conversations are equal.

    Args:
        render: renders messages, as `template.render` with `answer` and `now`.

    Raises:
        InputError: if the template is broken, or changes messages in another way.
    """
    asked, answered, system = "<<1>>", "<<2>>", "<<3>>"
    first, second = _message(USER, asked), _message(ASSISTANT, answered)

    def around(messages: Sequence[Message], contents: Sequence[str], answer: bool) -> list[str]:
        text, parts = render(messages, answer=answer, now=_placed), []
        for content in contents:
            part, found, text = text.partition(content)
            if not found:
                raise InputError(
                    "Expected a chat template that writes each message, got one that leaves out "
                    f"message {len(parts) + 1}."
                )
            parts.append(part)
        return [*parts, text]

    opening, answer = around([first], [asked], True)
    _, reply, again, _ = around([first, second, first], [asked, answered, asked], True)
    user_end = around([first], [asked], False)[-1]
    model_end = around([first, second], [asked, answered], False)[-1]
    instructed = [_message(SYSTEM, system), first]
    try:
        before, behind, _ = around(instructed, [system, asked], True)
        framed = before, behind
    except InputError:
        # The template refuses it or leaves it out.
        framed = None
    turns = Turns(
        opening=opening, reply=reply, again=again, answer=answer, user_end=user_end,
        model_end=model_end, system=framed,
    )  # fmt: skip
    trimmed = []
    for role in _ROLES[framed is None :]:
        spaced, plain = (_conversation(3, framed is not None, role, x) for x in (" x\n", "x"))
        if render(spaced, answer=True, now=_placed) == render(plain, answer=True, now=_placed):
            trimmed.append(role)
    turns = dataclasses.replace(turns, trimmed=tuple(trimmed))
    for count, has_system, role, odd in itertools.product(
        (1, 3, 5), {False, framed is not None}, _ROLES, _ODD
    ):
        messages = _conversation(count, has_system, role, odd)
        if turns.text(messages, _placed) != render(messages, answer=True, now=_placed):
            raise InputError(
                "Expected a chat template of fixed texts around messages, got one that changes "
                f"{odd!r} of the {role}'s."
            )
    return turns


def _conversation(count: int, has_system: bool, role: str, content: str) -> list[Message]:
    """A conversation of so many turns, with one content for all messages of a role."""
    roles = [*[SYSTEM] * has_system, *(((USER, ASSISTANT) * count)[:count])]
    return [
        _message(one, content if one == role else f"{one} {place}")
        for place, one in enumerate(roles)
    ]


def _message(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def _placed(form: str) -> str:
    return f"{_NOW[0]}{form}{_NOW[1]}"


def _are_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
