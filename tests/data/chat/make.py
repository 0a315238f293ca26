"""Makes cases.json: chat templates and Jinja expressions, rendered by jinja2 as transformers does.
usage: python make.py SMOLLM2.gguf   (needs jinja2 and gguf from PyPI)"""

import json
import pathlib
import sys

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

CHATML = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
ZEPHYR = """{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>
' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>
' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>
'  + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}"""
LLAMA2 = (
    "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}"
    "{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
    "{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}"
    "{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}"
    "{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}"
    "{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)
LLAMA3 = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + message['role'] "
    "+ '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}"
    "{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
LLAMA31 = """{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not tools_in_user_message is defined %}
    {%- set tools_in_user_message = true %}
{%- endif %}
{%- if not date_string is defined %}
    {%- set date_string = "26 Jul 2024" %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}

{#- This block extracts the system message, so we can slot it into the right place. #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}

{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{{- "Cutting Knowledge Date: December 2023\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}

{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""
MISTRAL = (
    "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}"
    "{{ message['content'] + eos_token}}{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}"
)
MISTRAL3 = """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}
{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("After the optional system message, conversation roles must alternate user/assistant") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token }}
    {%- endif %}
{%- endfor %}"""
QWEN25 = """{%- if tools %}
    {{- '<|im_start|>system\\n' }}{{- tools | tojson }}
{%- else %}
    {%- if messages[0]['role'] == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>system\\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "tool" %}
        {%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != "tool") %}{{- '<|im_start|>user' }}{%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""
EXPRESSIONS = r"""
{{ 1 + 2 * 3 - 4 // 3 }} {{ 7 % 3 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 2 ** 10 }} {{ 7 / 2 }} {{ 1.5 + 1 }}
{{ 'a' ~ 1 ~ none ~ true ~ 2.0 }} {{ 'ab' * 3 }} {{ [1, 'x', none, true] }} {{ {'a': 1, 'b': [2]} }}
{{ messages | length }} {{ 'grüße' | length }} {{ 'grüße'[1:4] }} {{ 'abc'[::-1] }} {{ [1, 2, 3, 4][1:-1] }} {{ [1, 2, 3][-1] }}
{{ x is defined }} {{ x is not defined }} {{ none is none }} {{ 'a' is string }} {{ {} is mapping }} {{ [] is iterable }} {{ 3 is odd }}
{{ 'b' in 'abc' }} {{ 'z' not in ['a'] }} {{ 1 < 2 and not (2 < 1) }} {{ 'yes' if 1 else 'no' }}{{ 'never' if 0 }}
{{ '  x '.strip() }}|{{ ' x '.lstrip() }}|{{ 'a,b,,c'.split(',') }}|{{ 'a b  c'.split() }}|{{ 'Ab'.upper() }}{{ 'Ab'.lower() }}|{{ 'a b'.title() }}
{{ 'x' | default('d') }} {{ y | default('d') }} {{ '' | default('d', true) }} {{ [3, 1] | join('-') }} {{ [1, 2] | first }} {{ [1, 2] | last }}
{{ {'b': 1, 'a': [1, {'c': 'é"'}]} | tojson }} {{ [1.5, none, true] | tojson }} {{ {'a': 1} | tojson(indent=2) }} {{ [] | tojson }}
{% for i in range(3) %}{{ i }}{{ ',' if not loop.last }}{% endfor %} {% for k, v in {'p': 1, 'q': 2}.items() %}{{ k }}={{ v }};{% endfor %}
{% for i in [] %}x{% else %}empty{% endfor %} {% for i in range(6) if i % 2 %}{{ loop.index }}:{{ i }} {% endfor %}
{% set ns = namespace(n=0) %}{% for i in range(4) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}
{% set text %}inner {{ 1 }}{% endset %}{{ text }} {% macro greet(a, b='you') %}{{ a }}, {{ b }}!{% endmacro %}{{ greet('Hi') }} {{ greet('Hi', b='me') }}
{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}
{{ messages | map(attribute='role') | join(',') }} {{ messages | selectattr('role', 'equalto', 'user') | list | length }} {{ 'a' 'b' }}
   {# a comment #}   x {%- if true %}   y   {%- endif +%} z
{{ 'it''s' }} {{ "q\"uote\\n\n" }} {{ 'abc'.startswith('ab') }} {{ 'abc'.endswith('x') }} {{ 'a-b'.replace('-', '+') }} {{ {'k': 5}.get('k') }} {{ {'k': 5}.get('z', 7) }}
{{ 1 < 2 < 3 }} {{ 3 > 2 > 2 }} {{ 1 == 1 == 1 }} {{ 2 * 3 ** 2 }} {{ -1|abs }} {{ -3 ** 2 }} {{ 1 ~ 2 * 3 ~ 4 }} {{ true == 1 }} {{ true + 1 }} {{ 7.5 % 2 }} {{ -7.5 // 2 }}
{{ 100000.0 }} {{ 1e16 }} {{ 0.00001 }} {{ 123456789.125 }} {{ [1.0, 'a\x01'] }} {{ 9007199254740993 | int }} {{ '12abc' | int }} {{ '12abc' | int(5) }} {{ ' +7 ' | int }} {{ '3.9' | int }} {{ '2.5' | float }}
{{ ('　 hé ' | trim) ~ '|' }}{{ '。x。'.strip('。') }}|{{ 'a b  c'.split() }}|{{ ' a  b c '.split(None, 1) }}|{{ 'é-'.find('-') }}|{{ 'aaa'.replace('a', 'b', 2) }}|{{ 'aaa' | replace('a', 'b', 1) }}
{{ 'éa' | first }} {{ 'aé' | last }} {{ 'aé' | reverse }} {{ 'aé' | list }} {{ {'b': 1, 'A': 2} | list }} {{ {'b': 1, 'A': 2} | join('+') }} {{ 'abc' | join('-') }} {{ "it's a-b" | title }} {{ "it's".title() }}
{% for k, v in {'b': 1, 'A': 2} | dictsort %}{{ k }}{{ v }}{% endfor %} {{ x | length }} {{ 'a' in x }} {{ x is iterable }} {{ [x] }} {{ x | list }} {{ [1, 2] == [true, 2.0] }} {{ {'a': 1, 'b': 2} == {'b': 2, 'a': 1} }} {{ true in [1] }}
{{ messages | map(attribute='name', default='-') | join(',') }} {{ ['A', 'b'] | map('upper') | join }} {{ 4 is divisibleby 2 }} {{ 'a' is in ['a', 'b'] }} {{ 1 is eq 1.0 }} {{ 5 is not equalto 5 }} {{ 'a' if x is defined else 'b' }}
{% set i = 5 %}{% macro f(a) %}{{ i }}{{ a }}{% endmacro %}{% for i in [1, 2] %}{{ f(i) }} {% endfor %}{% set t %}{% set y = 1 %}{{ y }}{% endset %}{{ t }}{{ y }} {% for i in [1, 2] %}{{ loop.depth }}{{ loop.previtem }}{{ loop.nextitem }}{% endfor %}
{{ 'x y' | trim | capitalize }} {{ '3' | int + 1 }} {{ 3.7 | int }} {{ 5 | string + '!' }} {{ (1, 2) | length }} {{ [[1, 2], [3]] | last | first }}
"""


def smollm2(path):
    from gguf import GGUFReader

    field = GGUFReader(path).fields["tokenizer.chat_template"]
    return bytes(field.parts[field.data[0]]).decode()


def render(template, **variables):
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    return environment.from_string(template).render(**variables)


def say(role, content):
    return {"role": role, "content": content}


TEMPLATES = {
    "smollm2": smollm2(sys.argv[1]), "chatml": CHATML, "zephyr": ZEPHYR, "llama2": LLAMA2, "llama3": LLAMA3,
    "llama31": LLAMA31, "mistral": MISTRAL, "mistral3": MISTRAL3, "qwen25": QWEN25,
}
CONVERSATIONS = [
    [say("user", "Hello, world!")],
    [say("system", "Be brief.\n"), say("user", " What is gravity? ")],
    [say("user", "Grüße 東京 🎉"), say("assistant", " Hi! "), say("user", "<|im_end|> {{ 1 }}\n\n")],
    [say("assistant", "first"), say("user", "second")],
]
cases = []
for name, template in TEMPLATES.items():
    for conversation in CONVERSATIONS:
        for prompt in (True, False):
            case = {"name": name, "template": template, "messages": conversation, "prompt": prompt}
            try:
                case["text"] = render(template, messages=conversation, add_generation_prompt=prompt, tools=None,
                                      documents=None, bos_token="<s>", eos_token="</s>")
            except jinja2.exceptions.TemplateError as error:
                case["raises"] = str(error)
            cases.append(case)
EXTRA = ["a\r\nb{% if true %}\r\n c\r\n{% endif %}\r\nd\r\n", "{% if true -%}\n\n x\n{%- endif %}\n  y {#- c #}\n z\n"]
for line in EXPRESSIONS.strip("\n").split("\n") + EXTRA:
    case = {"name": "expression", "template": line, "messages": CONVERSATIONS[2], "prompt": True}
    case["text"] = render(line, messages=CONVERSATIONS[2], add_generation_prompt=True, tools=None, documents=None,
                          bos_token="<s>", eos_token="</s>")
    cases.append(case)
path = pathlib.Path(__file__).parent / "cases.json"
path.write_text(json.dumps(cases, ensure_ascii=False, indent=0) + "\n")
print(len(cases), "cases")
