"""``evomerge schema``: what a config.yaml can say, for editors."""

from __future__ import annotations

import json
import sys

from evomerge.config.schema import schema as config_schema


def schema() -> None:
    """Prints the JSON schema of config.yaml.

    Editors that know YAML complete and check a config by it, given this as its first line:
    # yaml-language-server: $schema=evomerge.schema.json
    """
    sys.stdout.write(json.dumps(config_schema(), indent=2) + "\n")
