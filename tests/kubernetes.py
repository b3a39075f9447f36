"""The shipped objects of Kubernetes."""

from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent.parent / "deploy" / "kubernetes"


def shipped(kind: str) -> Any:
    """Return the one object of a kind, as nested dictionaries and lists."""
    return yaml.safe_load((FOLDER / f"{kind.lower()}.yaml").read_text())


def container() -> Any:
    """Return the container of the Deployment."""
    (only,) = shipped("Deployment")["spec"]["template"]["spec"]["containers"]
    return only


def arguments() -> list[str]:
    """Return what the container's daemon is told, with the variables filled in."""
    return [text.replace("$(POD_NAME)", "hello-1") for text in container()["args"]]
