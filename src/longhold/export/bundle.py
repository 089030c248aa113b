"""Our own ES modules as one script, without a build step."""

import re
from collections.abc import Mapping
from functools import partial

from longhold.errors import InputError

_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([\w-]+)\.js";\n', flags=re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function\*?|class|const|let) (\w+))", flags=re.MULTILINE)
_LEFT = re.compile(r"^\s*(?:import|export)\b", flags=re.MULTILINE)


def bundle(modules: Mapping[str, str]) -> str:
    """A classic script that does what the modules do, each in a scope of its own.

    Arguments:
        modules: source by name (without `.js`), each after those that it imports. They may say
            `import { a, b } from "./name.js";` and `export` before a declaration, and nothing else of the kind.

    Raises:
        InputError: a module uses another form, or imports one that does not stand before it.
    """
    parts: list[str] = []
    for index, (name, source) in enumerate(modules.items()):
        body = _IMPORT.sub(partial(_bound, before=tuple(modules)[:index], name=name), source)
        exported = _EXPORT.findall(body)
        body = _EXPORT.sub("", body)
        if _LEFT.search(body):
            raise InputError(f"module {name!r}: expected only named imports and exported declarations")
        parts.append(f"const {_variable(name)} = (() => {{\n{body}\nreturn {{ {', '.join(exported)} }};\n}})();\n")
    return '"use strict";\n(() => {\n' + "".join(parts) + "})();\n"


def _bound(found: re.Match[str], before: tuple[str, ...], name: str) -> str:
    if found[2] not in before:
        raise InputError(f"module {name!r} imports {found[2]!r}, which does not stand before it")
    return f"const {{{found[1]}}} = {_variable(found[2])};\n"


def _variable(name: str) -> str:
    return "module_" + name.replace("-", "_")
