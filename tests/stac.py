"""What stac-validator says of STAC documents, with the schemas at hand and without a network.

Those of STAC 1.1 come with pystac. `stac_schemas.json` holds those of STAC 1.0 and of the extensions, by address, as
their repositories (radiantearth/stac-spec, stac-extensions, geo-embeddings/embeddings-stac-specification; Apache-2.0)
have them at the tags of these versions. Of classification v2.0.0, which has no tag there, it is the state of the branch
`main` after "name is required", under the address of that version.
"""

import json
import tempfile
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator
from stac_validator.validate import StacValidate

SCHEMAS = Path(__file__).with_name("stac_schemas.json")
CORE = ("stac-spec/v1.1.0", "geojson")
"""Folders of schemas in pystac."""


@cache
def _schemas() -> dict[str, Any]:
    """Schemas by their addresses."""
    folder = files("pystac.validation") / "jsonschemas"
    found = [one for name in CORE for one in folder.joinpath(name).iterdir() if one.name.endswith(".json")]
    core = [json.loads(one.read_text()) for one in found]
    # one of them says its address without a point
    known = {one["$id"].rstrip("#").replace("commonjson", "common.json"): one for one in core}
    draft = dict(Draft7Validator.META_SCHEMA)
    return known | json.loads(SCHEMAS.read_text()) | {draft["$id"].rstrip("#"): draft}


def problems(document: dict[str, Any]) -> list[str]:
    """What is wrong with an item or a collection; empty if nothing is."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {}
        for number, (address, schema) in enumerate(_schemas().items()):
            paths[address] = str(Path(folder) / f"{number}.json")
            Path(paths[address]).write_text(json.dumps(schema))
        validator = StacValidate(schema_map=paths)
        validator.validate_dict(json.loads(json.dumps(document)))
    return [] if validator.valid else [str(one.get("error_message", one)) for one in validator.message]
