"""Conversations with a model that has a chat template: a part of what predictors do."""

from collections.abc import Iterable
from typing import Any, ClassVar

from keras_transformer.zoo.chat.chat import Chat
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.generation.text import Generation, TextGenerator
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer


class Chatting:
    """Answers conversations, see `Predictor`, which has the attributes."""

    task_name: str
    generates: bool
    tokenizer: Tokenizer
    _text: Text
    _own_generator: TextGenerator
    # Whether the texts that were derived from a chat template are enough, without Jinja2.
    _chats_by_turns: ClassVar[bool] = False

    def chat(self, messages: Iterable[Any], **options: Any) -> str:
        """Returns the model's answer to a conversation.

        Args:
            messages: objects of the texts `role`, such as `user`, and `content`; the last one is
                the user's.
            **options: see `TextGenerator.answer`: `max_tokens=40`, `temperature=0.7`, ...

        Raises:
            InputError: if the model has no chat template, it does not take the messages, or Jinja2
                is needed for it and not installed.
            TypeError: if messages are no such objects, or an option is unknown.
        """
        return self.answers([messages], **options)[0].text

    def answers(self, conversations: Iterable[Iterable[Any]], **options: Any) -> list[Generation]:
        """Returns the results of `chat` for several conversations, with log probabilities."""
        ids = [self.chat_ids(messages) for messages in conversations]
        end_ids = self._chat.end_ids(self.tokenizer)
        return self._own_generator.answer(ids, end_ids=end_ids, **options)

    def chat_ids(self, messages: Iterable[Any]) -> list[int]:
        """Returns the ids of a conversation, up to where the model's answer begins.

        Raises:
            InputError, TypeError: as `chat`.
        """
        text = self._chat.text(messages, by_turns=self._chats_by_turns)
        return self._chat.ids(text, self.tokenizer)

    @property
    def _chat(self) -> Chat:
        if not self.generates or self._text.chat is None:
            raise InputError(
                "Expected a model with a chat template, as published models of conversations have, "
                f"got one of {self.task_name} without."
            )
        return self._text.chat
