"""Chat templates of the kinds that published models have, written for the tests."""

# A system's message of its own where there is none, as SmolLM2's.
CHATML = """\
{%- for message in messages -%}
{%- if loop.first and message['role'] != 'system' -%}
{{ '<|im_start|>system\\nYou are helpful.<|im_end|>\\n' }}
{%- endif -%}
{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}
"""
# Headers, the content trimmed, as Llama 3's.
HEADERS = """\
{{- bos_token }}
{%- for message in messages %}
    {{- '<|start|>' + message.role + '<|stop|>\\n\\n' + message['content'] | trim + '<|eot|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start|>assistant<|stop|>\\n\\n' }}
{%- endif %}
"""
# The date in the system's turn, as Llama 3.2's.
DATED = """\
{{- bos_token }}
{{- '<|start|>system<|stop|>\\n\\nToday Date: ' + strftime_now('%d %b %Y') + '\\n\\n' }}
{%- if messages[0]['role'] == 'system' %}
    {{- messages[0]['content'] | trim }}
    {%- set messages = messages[1:] %}
{%- endif %}
{{- '<|eot|>' }}
{%- for message in messages %}
    {{- '<|start|>' + message.role + '<|stop|>\\n\\n' + message['content'] | trim + '<|eot|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start|>assistant<|stop|>\\n\\n' }}{%- endif %}
"""
# The system's message in the user's first turn, roles in turn and another name, as Gemma's.
FOLDED = """\
{{ bos_token }}
{%- set first = "" -%}
{%- if messages[0]['role'] == 'system' -%}
    {%- set first = messages[0]['content'] + '\\n\\n' -%}
    {%- set messages = messages[1:] -%}
{%- endif -%}
{%- for message in messages -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception("Roles must alternate user/assistant/user/assistant/...") }}
    {%- endif -%}
    {%- set role = "model" if message['role'] == 'assistant' else message['role'] -%}
    {{ '<start_of_turn>' + role + '\\n' + (first if loop.first else "") }}
    {{- message['content'] | trim + '<end_of_turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<start_of_turn>model\\n' }}{%- endif -%}
"""
# The model's thoughts are left out of earlier turns, as Qwen 3's.
THINKING = CHATML.replace(
    "message['content']", "message['content'].split('</think>')[-1].lstrip('\\n')"
)
TEMPLATES = {
    "chatml": CHATML, "headers": HEADERS, "dated": DATED, "folded": FOLDED, "thinking": THINKING,
}  # fmt: skip
SPECIAL = (
    "<|im_start|>", "<|im_end|>", "<|start|>", "<|stop|>", "<|eot|>", "<start_of_turn>",
    "<end_of_turn>",
)  # fmt: skip


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


def system(text):
    return {"role": "system", "content": text}


CONVERSATIONS = {
    "one": [user("Is the king dead?")],
    "instructed": [system("Speak plainly."), user("Is the king dead?")],
    "three": [user("a"), assistant("no king"), user("Why?")],
    "long": [
        system(" Be brief.\n"), user("  Who walks?\n\n"), assistant("the queen's fool walks;\n"),
        user("Tell me <|im_end|> more: Ünï {{ 7 }}"), assistant("no"), user("\tlast one "),
    ],
}  # fmt: skip
