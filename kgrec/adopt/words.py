"""Names that people give to users, items, interactions and keys; hints, never proof."""

import re

USERS = {
    "user", "customer", "client", "member", "subscriber", "viewer", "reader", "listener", "shopper",
    "buyer", "visitor", "player", "patient", "student", "learner", "account", "person", "people",
    "reviewer", "guest", "employee", "profile",
}  # fmt: skip
#: Of these, names that are as often somebody who made the item.
WEAK_USERS = {"person", "people", "account", "profile", "employee"}

ITEMS = {
    "movie", "film", "product", "item", "book", "song", "track", "album", "article", "game",
    "recipe", "course", "restaurant", "venue", "event", "job", "post", "video", "show", "series",
    "paper", "app", "listing", "offer", "news", "story", "hotel", "business", "podcast", "artist",
}  # fmt: skip

STRONG_TYPES = {
    "rated", "rates", "rating", "bought", "buys", "purchased", "ordered", "reviewed", "liked",
    "likes", "watched", "listened", "listened_to", "read", "played", "consumed", "booked",
    "interacted", "enrolled", "completed", "loved", "favorited", "favourited", "streamed", "ate",
    "rented", "visited", "applied",
}  # fmt: skip
WEAK_TYPES = {
    "viewed", "views", "clicked", "saw", "browsed", "searched", "added_to_cart", "carted",
    "wishlisted", "saved", "bookmarked", "opened", "followed", "follows", "wants", "interested_in",
}  # fmt: skip
NEGATIVE_TYPES = {
    "disliked", "dislikes", "hid", "hidden", "blocked", "dismissed", "skipped", "rejected",
    "returned", "hates", "not_interested",
}  # fmt: skip

RATINGS = {"rating", "stars", "score", "grade", "rate", "points", "value"}
TIMES = {
    "time", "timestamp", "at", "date", "datetime", "created", "created_at", "createdat", "when",
    "on", "since", "ts", "event_time", "rated_at", "ratedat", "viewed_at", "ordered_at", "day",
}  # fmt: skip
WEIGHTS = {"weight", "quantity", "count", "amount", "plays", "times"}

KEYS = {"id", "uuid", "guid", "key", "code", "number", "sku", "isbn", "asin", "ean", "handle",
        "username", "login", "slug"}  # fmt: skip
TITLES = ("title", "name", "label", "headline", "caption", "displayname", "fullname")
TEXTS = {"description", "plot", "summary", "abstract", "overview", "text", "body", "content",
         "synopsis", "tagline", "bio"}  # fmt: skip

#: What kgrec does not propose to take: what tells who somebody is, secrets, addresses of things.
PRIVATE = re.compile(
    r"name|mail|phone|address|street|zip|postal|password|passwd|secret|token|hash|salt|ssn|birth"
    r"|ip$|url|uri|link|image|poster|photo|avatar|picture|embedding|vector",
)


def bare(name: str) -> str:
    """Gives a name as the sets here have it: lower case, `ratedAt` and `RATED-AT` as `rated_at`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")


def is_key(name: str, label: str) -> bool:
    """Whether a property is called as keys are: `id`, `movieId`, `customer_no`, `imdbId`."""
    plain = bare(name)
    last = plain.rpartition("_")[2]
    return (
        plain in KEYS
        or last in {"id", "uuid", "no", "nr", "code", "key"}
        or (plain == f"{bare(label)}_number")
    )


def says(name: str, words: set[str]) -> bool:
    """Whether a label or type is one of some words, also in the plural or as its last part."""
    plain = bare(name)
    parts = {plain, plain.rpartition("_")[2], plain.partition("_")[0]}
    return bool((parts | {part.removesuffix("s") for part in parts}) & words)
