"""What botocore raises, in our six words; codes decide, never messages. No other file maps botocore's exceptions.

Reads and writes differ in one thing: a write that may have arrived is OutcomeUnknown, and is never repeated by itself.
Sources: docs.aws.amazon.com/Route53/latest/APIReference/CommonErrors.html and API_ChangeResourceRecordSets.html, read
2026-11; botocore 1.44.5 (`httpsession.py`, `parsers.py`, `retries/standard.py`).
"""

from __future__ import annotations

import errno
import ssl
from collections.abc import Mapping

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    InvalidConfigError,
    MetadataRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    ProxyConnectionError,
    SSLError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError
from urllib3.exceptions import NameResolutionError

from watchdogd.errors import Cause, MalformedReply, OutcomeUnknown, Refusal, Refused, Unreachable, WatchdogError

# What becomes of credentials that are looked for in a file, a program or an answer, and of an answer with numbers that
# are none, comes out of botocore as Python raises it (1.44.5: `credentials.py`, `parsers.py`).
BARE_FAILURES = (OSError, ValueError, TypeError, AttributeError, LookupError, RuntimeError)
AWS_FAILURES = (BotoCoreError, ClientError, ResponseParserError, *BARE_FAILURES)  # the roots, which share none
NO_IDENTITY = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    MetadataRetrievalError,
    TokenRetrievalError,
    ProfileNotFound,
    InvalidConfigError,
)
KIND_OF_CODE: Mapping[str, Refusal] = {
    "Throttling": Refusal.NOT_YET,
    "ThrottlingException": Refusal.NOT_YET,
    "RequestLimitExceeded": Refusal.NOT_YET,
    "TooManyRequestsException": Refusal.NOT_YET,
    "SlowDown": Refusal.NOT_YET,
    "PriorRequestNotComplete": Refusal.NOT_YET,
    "InvalidChangeBatch": Refusal.CONFLICT,
    "InvalidInput": Refusal.UNSUPPORTED,
    "NoSuchChange": Refusal.UNSUPPORTED,
}  # any other 4xx is DENIED: a human has to put the identity, its rights or the zone right
# The keys themselves are refused, not what they ask for: deactivated, rotated or expired.
IDENTITY_REFUSED = frozenset(
    {
        "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "InvalidSignatureException",
        "ExpiredToken", "ExpiredTokenException",
    }
)  # fmt: skip
# AWS may quote the canonical request here, with the session token in it. Source: IAM guide, "Troubleshoot SigV4".
CODES_THAT_QUOTE_THE_REQUEST = frozenset({"SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature"})
DETAIL_LENGTH_MAX = 300
CAUSE_OF_ERRNO: Mapping[int, Cause] = {
    errno.ECONNREFUSED: Cause.REFUSED,
    errno.ECONNRESET: Cause.RESET,
    errno.ETIMEDOUT: Cause.TIMEOUT,
    errno.EHOSTUNREACH: Cause.TIMEOUT,
}  # any other errno is of this machine: ENETUNREACH, EMFILE, EADDRNOTAVAIL …


def read_error(exc: Exception, endpoint: str) -> WatchdogError:
    """What a failed read comes to."""
    if (certain := _certainly_not_applied(exc)) is not None:
        return certain
    match exc:
        case _ if _is_bare(exc):
            return Refused(Refusal.DENIED, f"no usable AWS credentials, or no usable answer: {_text(exc)}")
        case SSLError():
            return Unreachable(Cause.TLS, str(exc))
        case ClientError() | ResponseParserError() if not _is_server_fault(exc):
            return MalformedReply(endpoint, _text(exc))
        case _:
            return OutcomeUnknown(_text(exc), answered=isinstance(exc, ClientError))


def write_error(exc: Exception) -> WatchdogError:
    """What a failed write comes to: OutcomeUnknown unless it was certainly not applied."""
    answered = isinstance(exc, ClientError | ResponseParserError)
    return _certainly_not_applied(exc) or OutcomeUnknown(_text(exc), answered=answered)


def is_identity_refused(exc: Exception) -> bool:
    """True when other keys may be accepted: nothing was applied."""
    if isinstance(exc, ClientError):
        return 400 <= _status(exc.response) < 500 and _code(exc) in IDENTITY_REFUSED
    return isinstance(exc, NoCredentialsError)  # raised before anything is sent


def refuse_blind_repeat(
    *, response: tuple[object, Mapping[str, object]] | None, caught_exception: Exception | None, **_: object
) -> None:
    """A botocore `needs-retry` handler for writes, before botocore's own: only what was certainly not applied goes on.

    botocore would send a write again after a time-out; the second answer (a conflict with our own first change) would
    then read as "certainly not applied". Raises: OutcomeUnknown.
    """
    exc = caught_exception
    if exc is None and response is not None and _status(response[1]) >= 300:
        exc = ClientError(response[1], "ChangeResourceRecordSets")  # type: ignore[arg-type]
    if exc is not None and isinstance(error := write_error(exc), OutcomeUnknown):
        raise error from None


def _certainly_not_applied(exc: Exception) -> WatchdogError | None:
    match exc:
        case EndpointConnectionError():
            return Unreachable(_cause(exc), str(exc))
        case ConnectTimeoutError():
            return Unreachable(Cause.TIMEOUT, str(exc))
        case ProxyConnectionError():
            return Unreachable(Cause.LOCAL, str(exc))
        case SSLError() if any(isinstance(link, ssl.SSLCertVerificationError) for link in _chain(exc)):
            return Unreachable(Cause.TLS, str(exc))
        case ClientError() if 400 <= _status(exc.response) < 500 and _code(exc) not in ("RequestTimeout", "408"):
            return Refused(_kind(exc), _text(exc), status=_status(exc.response))
        case _ if isinstance(exc, NO_IDENTITY):
            return Refused(Refusal.DENIED, f"no usable AWS credentials were found ({type(exc).__name__})")
        case _:
            return None


def _kind(exc: ClientError) -> Refusal:
    if "Messages" in exc.response and not _code(exc):
        return Refusal.CONFLICT  # <InvalidChangeBatch><Messages>, the documented form, has no code that botocore finds
    if _status(exc.response) == 429:
        return Refusal.NOT_YET
    return KIND_OF_CODE.get(_code(exc), Refusal.DENIED)


def _is_bare(exc: Exception) -> bool:
    return isinstance(exc, BARE_FAILURES) and not isinstance(exc, BotoCoreError)  # some are both


def _is_server_fault(exc: Exception) -> bool:
    return isinstance(exc, ClientError) and _status(exc.response) >= 400


def _status(parsed: Mapping[str, object]) -> int:
    metadata = parsed.get("ResponseMetadata")
    status = metadata.get("HTTPStatusCode") if isinstance(metadata, Mapping) else None
    return status if isinstance(status, int) else 0


def _code(exc: ClientError) -> str:
    return exc.response.get("Error", {}).get("Code", "")


def _text(exc: Exception) -> str:
    """The code and what AWS says to it, bounded; no part of a request."""
    match exc:
        case ClientError() if _code(exc) in CODES_THAT_QUOTE_THE_REQUEST:
            return _code(exc)
        case ClientError():
            said = exc.response.get("Error", {}).get("Message") or str(exc.response.get("Messages", ""))
            return f"{_code(exc) or 'InvalidChangeBatch'}: {said}"[:DETAIL_LENGTH_MAX]
        case ResponseParserError():
            return "the answer is not Route 53's XML"
        case HTTPClientError() if type(exc) is HTTPClientError:
            inner = exc.kwargs.get("error")  # a header that cannot be sent is quoted in its text, token and all
            return f"HTTPClientError: {type(inner).__name__}"
        case OSError() if _is_bare(exc):
            return f"{type(exc).__name__}: {exc.strerror}: {exc.filename}"[:DETAIL_LENGTH_MAX]
        case _ if _is_bare(exc):
            return type(exc).__name__  # its text may repeat what it was raised at
        case _:
            return f"{type(exc).__name__}: {exc}"[:DETAIL_LENGTH_MAX]


def _cause(exc: EndpointConnectionError) -> Cause:
    for link in _chain(exc):
        if isinstance(link, NameResolutionError):
            return Cause.NAME
        if isinstance(link, OSError) and link.errno is not None:
            return CAUSE_OF_ERRNO.get(link.errno, Cause.LOCAL)
    return Cause.LOCAL


def _chain(exc: BotoCoreError) -> list[BaseException]:
    """What botocore wrapped, from the outside in."""
    chain: list[BaseException] = []
    link: object = exc.kwargs.get("error")
    while isinstance(link, BaseException) and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__ or next(iter(link.args), None)
    return chain
