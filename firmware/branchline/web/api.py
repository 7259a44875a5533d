"""The HTTP interface, version 1: what may be asked and what is answered.

Every answer but the page and the metrics is JSON; errors are {"error": text}.
"""

try:
    # What PyPI installs is a package around the one module that the firmware carries.
    from microdot import microdot
except ImportError:
    import microdot

from branchline.web.bounded import MAX_BODY
from branchline.web.origin import refusal
from branchline.web.pieces import json_pieces

_JSON = "application/json"
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_REASONS = {
    400: "this is not an HTTP request",
    404: "there is nothing here; the API begins at /api/v1/status",
    405: "this method does not apply here",
    413: "the body is too long",
    500: "the gateway could not answer; its log says why",
}


def make_app(status, restart, failed):
    """The microdot application.

    status() -> dict of JSON values; restart(name) -> whether there is a tunnel of that name;
    failed(error): is told of every exception that a request has caused.
    """
    microdot.print_exception = failed
    microdot.Request.max_content_length = microdot.Request.max_body_length = MAX_BODY
    app = microdot.Microdot()
    app.options_handler = None  # no other origin may ask, so there is nothing to allow

    @app.before_request
    async def check(request):
        reason = refusal(request.headers)
        return _error(403, reason) if reason else None

    @app.after_request
    @app.after_error_request
    async def add_headers(request, response):
        response.headers.update(_HEADERS)

    for code in _REASONS:
        app.errorhandler(code)(_explain(code))
    _add_routes(app, status, restart)
    return app


def _add_routes(app, status, restart):
    @app.get("/")
    async def page(request):
        from branchline.web.page import HEADERS, PAGE

        return PAGE, 200, HEADERS

    @app.get("/metrics")
    async def metrics(request):
        from branchline.web.metrics import CONTENT_TYPE, metrics_lines

        return metrics_lines(status()), 200, {"Content-Type": CONTENT_TYPE}

    @app.get("/api/v1/status")
    async def get_status(request):
        return json_pieces(status()), 200, {"Content-Type": _JSON}

    @app.post("/api/v1/tunnels/<name>/restart")
    async def restart_tunnel(request, name):
        kind = (request.content_type or "").split(";")[0].strip().lower()
        if kind != _JSON:
            # No page of another origin can send this type without asking first.
            return _error(415, "send the header Content-Type: " + _JSON)
        try:
            # In a path "+" is itself.
            name = microdot.urldecode(name.replace("+", "%2B"))
        except ValueError:
            pass  # no tunnel is called what cannot be decoded
        if restart(name):
            return {"tunnel": name, "action": "restart"}, 202
        known = ", ".join([tunnel["name"] for tunnel in status()["tunnels"]])
        return _error(404, "there is no tunnel of this name; known are: " + known)


def _error(code, reason):
    return {"error": reason}, code


def _explain(code):
    async def explain(request):
        return _error(code, _REASONS[code])

    return explain
