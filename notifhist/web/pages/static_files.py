"""The view of the assets."""

from flask import Response

from notifhist.errors import NotFound
from notifhist.web.apis import OPEN_PAGES
from notifhist.web.declarations import View
from notifhist.web.pages.assets import CONTENT_TYPES, IMMUTABLE, assets
from notifhist.web.shortcuts import Response as OwnResponse


@View(
    *(OPEN_PAGES, "GET", "/static/<hash>/<name>", "Read a stylesheet, a script or an image"),
    content={content_type: {"type": "string"} for content_type in CONTENT_TYPES.values()},
    errors=(NotFound,),
)
def get_asset(hash: str, name: str) -> Response:
    """Answer an asset. Its URL has the hash of its content, so it is never asked for again."""
    asset = assets().get(name)
    if asset is None or asset.hash != hash:
        raise NotFound
    response = OwnResponse(asset.content, content_type=asset.content_type)
    response.headers["Cache-Control"] = IMMUTABLE
    return response
