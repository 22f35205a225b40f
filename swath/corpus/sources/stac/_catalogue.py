"""The known catalogues and how to talk to each of them. A new one is an entry here and in the sensors."""

from typing import Literal

from swath.settings import Settings

Name = Literal["earth-search", "planetary-computer", "usgs"]
ADDRESSES: dict[Name, str] = {
    "earth-search": "https://earth-search.aws.element84.com/v1",
    "planetary-computer": "https://planetarycomputer.microsoft.com/api/stac/v1",
    "usgs": "https://landsatlook.usgs.gov/stac-server",
}
TOKENS: dict[Name, str] = {
    "planetary-computer": "https://planetarycomputer.microsoft.com/api/sas/v1/token/{account}/{container}"
}


class Catalogue(Settings):
    """A STAC API, and how its files are reached."""

    name: Name = "earth-search"
    """The catalogue whose collections and asset keys apply."""
    url: str | None = None
    """Address of an API that serves the same content; by default the public API of that name."""
    token_url: str | None = None
    """Address that signatures come from: JSON with `token`, a query string that is put behind a file's address, and
    `msft:expiry`. `{collection}` in it stands for the collection's id, `{account}` and `{container}` for the parts of
    an address of Azure, whose own host alone gets that signature. By default the catalogue's own; the others sign
    nothing."""
    token_hosts: tuple[str, ...] = ()
    """Hosts (`name` or `name:port`) that get the signature, where `token_url` has no `{account}`; by default the host
    of `token_url`. No other host sees it."""
    alternate: str | None = None
    """Read the assets' other addresses of this name: `s3` of USGS, which asks for an account at AWS, where the first
    address asks for one at USGS. By default the first."""
    local: bool = False
    """Files of this machine may stand in the catalogue's items: for catalogues of your own, whose items you trust."""

    @property
    def address(self) -> str:
        """Address of the API."""
        return self.url or ADDRESSES[self.name]

    @property
    def tokens(self) -> str | None:
        """Address from which signatures for files come; None if files need none."""
        return self.token_url or (TOKENS.get(self.name) if self.url is None else None)

    def platform(self, name: str) -> str:
        """How the catalogue spells a platform, such as `landsat-8`."""
        return name.upper().replace("-", "_") if self.name == "usgs" else name
