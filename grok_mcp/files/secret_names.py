"""Names that are never read: of keys, passwords and tokens, and of what programs hide in a home folder."""

import re
import unicodedata
from collections.abc import Iterable

_HARMLESS = re.compile(
    r"""\.(?:github|gitlab|circleci|devcontainer|husky|changeset|storybook|vscode|config\.js
    |gitignore|gitattributes|gitmodules|dockerignore|npmignore|eslintignore|prettierignore|mailmap
    |editorconfig|(?:eslint|prettier|babel|stylelint|lintstaged|mocha|nyc|swc|commitlint)rc(?:\.\w{1,8})?
    |(?:pylint|coverage|isort|yamllint|markdownlint|jshint|browserslist)rc|flake8|yamllint
    |markdownlint(?:\.\w{1,8})?|pre-commit-config\.ya?ml|pre-commit-hooks\.ya?ml
    |(?:gitlab-ci|travis|appveyor|readthedocs|rubocop|golangci|swiftlint|codecov|goreleaser)\.ya?ml
    |clang-(?:format|tidy)|rustfmt\.toml|nvmrc|(?:python|ruby|node|terraform|go)-version|tool-versions
    |env\.(?:example|sample|template|dist))""",
    re.VERBOSE,
)
"""Hidden names that a repository shows to everybody."""

_SECRET = re.compile(
    r"""(?:.*\.)?env(?:\.(?!example$|sample$|template$|dist$).*)?|.*\.env|.*\.envrc
    |id_[a-z0-9_]+(?:\.(?!pub$).*)?
    |.*\.(?:pem|key|p8|p12|pfx|pkcs12|jks|keystore|kdbx?|ppk|gpg|pgp|asc|ovpn|kubeconfig|agilekeychain|keychain
    |tfstate(?:\.backup)?|tfvars|htpasswd)
    |.*credential.*|.*secret.*|.*shadow|.*passwd
    |.*\.tfvars\.json|pgpass(?:\..*)?|wallet(?:\..*)?|.*firebase-adminsdk.*
    |(?:.*[-_. ])?passwords?(?:\.(?!(?:pyi?|tsx?|jsx?|go|rs|java|kt|rb|php|cs|html|css)$).*)?
    |(?:.*[-_. ])?tokens?(?:\.(?:txt|csv|json|ya?ml|ini|toml))?
    |.*private[-_. ]?key.*|.*api[-_. ]?keys?(?:\..*)?|.*service[-_]?account.*\.json|.*oauth.*\.json
    |(?:auth|keys|kubeconfig|cookies|logins)(?:\.(?:json|ya?ml|sqlite|db|txt))?|_netrc|.*_history""",
    re.VERBOSE | re.DOTALL,
)
"""Whole names, in lower case. What only sounds like a secret is refused too: what matters can be copied."""


_BACKUP = re.compile(
    r"(?:~|\#|\.(?:bak|old|orig|save|sav|swp|swo|tmp|copy|backup|\d{1,3})"
    r"|[-_ ](?:old|copy|backup|bak)|[ ]?\([^()]*\))$"
)
"""What programs and people add to the name of a copy."""
_IGNORED = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]")
"""Characters that nobody sees, beside those of the category of formats."""


def is_secret(names: Iterable[str]) -> bool:
    """Whether any of these names, which are the steps of a path, is one that is never read."""
    return any(_is_secret(name) for name in names)


def _is_secret(name: str) -> bool:
    name = _plain(name)
    for _ in range(4):  # a copy of a copy
        if name.startswith(".") and name.strip("."):
            return not _HARMLESS.fullmatch(name)
        if _SECRET.fullmatch(name):
            return True
        name, before = _BACKUP.sub("", name.lstrip("#")), name
        if name in ("", before):
            return False
    return False


def _plain(name: str) -> str:
    """The name as a careless file system sees it: in one case, in one form, without what nobody sees."""
    name = unicodedata.normalize("NFKC", _IGNORED.sub("", name)).casefold()
    name = "".join(mark for mark in name if unicodedata.category(mark) not in ("Cf", "Cc"))
    return name.partition("::")[0].strip().rstrip(". ") or name
