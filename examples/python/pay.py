#!/usr/bin/env python3
"""Seals a card and pays with it, captures the payment and refunds half of it: a complete payswitch client in Python.

    pip install -r examples/python/requirements.txt
    cargo run -- demo --ready-file /tmp/ready.json          # in another terminal
    python3 examples/python/pay.py --ready-file /tmp/ready.json --amount-minor 1234

A call whose outcome is not known is repeated unchanged: the same request_id and the same sealed
card, so that the card is charged once.

Exit code 0 when the payment is DECLINED, or captured and refunded; 1 otherwise.
docs/sealing.md specifies the sealed card.
"""

import argparse
import json
import os
import pathlib
import secrets
import sys
import time

from joserfc import jwe
from joserfc.jwk import ECKey, OctKey, RSAKey

EXAMPLES = pathlib.Path(__file__).resolve().parents[1]
PROTO = EXAMPLES.parent / "proto"

# How often a call is made at most, and how long one attempt may take.
ATTEMPTS = 6
ATTEMPT_TIMEOUT_S = 10
# How long to wait after the first attempt; twice as long after each further one.
FIRST_WAIT_S = 0.5
# The outcome is not known, or there was no room: the same request is worth repeating.
REPEATED = ("UNAVAILABLE", "ABORTED", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED")

# What joserfc may use, and the members that payswitch adds to the header.
ALGORITHMS = ["ECDH-ES", "RSA-OAEP-256", "dir", "A256GCM"]
REGISTRY = jwe.JWERegistry(algorithms=ALGORITHMS, strict_check_header=False)


def seal(key, header, payload):
    """Makes a compact JWE; `header` says how and for what."""
    header = {"enc": "A256GCM", "jti": secrets.token_urlsafe(16), "iat": int(time.time()), **header}
    header["exp"] = header["iat"] + header.pop("lifetime_s")
    return jwe.encrypt_compact(header, json.dumps(payload).encode(), key, registry=REGISTRY)


def public_key(jwks, alg):
    """The first key for `alg` in a JWK Set."""
    for jwk in jwks["keys"]:
        if jwk["alg"] == alg:
            key_type = ECKey if jwk["kty"] == "EC" else RSAKey
            return {"alg": alg, "kid": jwk["kid"]}, key_type.import_key(jwk)
    sys.exit(f"the gateway publishes no {alg} key")


def seal_card(key, names, args, merchant_id):
    """Seals the card for one order and one amount; `names` are the key's `alg` and `kid`."""
    card = {"pan": args.pan, "expiry": args.expiry}
    if args.cvv:
        card["cvv"] = args.cvv
    if args.holder:
        card["holder"] = args.holder
    header = {
        **names,
        "typ": "payswitch-card+jwe",
        "merchant": merchant_id,
        "order": args.order,
        "amount_minor": args.amount_minor,
        "currency": args.currency,
        "lifetime_s": 300,
    }
    return seal(key, header, card)


def seal_session_key(key, names, session_key, merchant_id):
    """Seals a symmetric key of our own choice, under which many cards can then be sealed."""
    header = {**names, "typ": "payswitch-session+jwe", "merchant": merchant_id, "lifetime_s": 3600}
    return seal(key, header, {"k": session_key.as_dict()["k"]})


def connect(ready):
    """A TLS channel to the gateway, and the metadata that says who we are."""
    import grpc

    credentials = grpc.ssl_channel_credentials(read(ready["ca_path"]))
    options = [("grpc.ssl_target_name_override", ready["server_name"])]
    channel = grpc.secure_channel(ready["merchant_api"], credentials, options)
    return channel, [("authorization", f"Bearer {ready['api_key']}")]


def stubs(name):
    """The messages and services of a .proto file, compiled when they are needed."""
    import grpc

    if str(PROTO) not in sys.path:
        sys.path.insert(0, str(PROTO))
    return grpc.protos_and_services(f"payswitch/v1/{name}.proto")


def open_session(channel, metadata, key, names, merchant_id):
    """Sets up a session key; answers the key and the names to seal cards with it."""
    messages, services = stubs("sealing_service")
    session_key = OctKey.generate_key(256)
    sealed = seal_session_key(key, names, session_key, merchant_id)
    answer = services.SealingServiceStub(channel).CreateSealingSession(
        messages.CreateSealingSessionRequest(sealed_session_key=sealed),
        metadata=metadata,
        timeout=ATTEMPT_TIMEOUT_S,
    )
    return {"alg": "dir", "kid": answer.kid}, session_key


def error_details(error):
    """The details of an error of the gateway, by the names of their messages: ErrorInfo, BadRequest, ..."""
    import grpc

    if str(EXAMPLES) not in sys.path:
        sys.path.insert(0, str(EXAMPLES))
    messages = grpc.protos("errors.proto")
    trailers = dict(error.trailing_metadata() or ())
    status = messages.Status.FromString(trailers.get("grpc-status-details-bin", b""))
    details = {}
    for detail in status.details:
        name = detail.type_url.rpartition(".")[2]
        if hasattr(messages, name):
            details[name] = getattr(messages, name).FromString(detail.value)
    return details


def explain(error):
    """What an error says, in one line for each thing."""
    details = error_details(error)
    lines = [f"{error.code().name}: {error.details()}"]
    if "ErrorInfo" in details:
        info = details["ErrorInfo"]
        lines.append(f"{info.reason}, outcome {info.metadata['outcome']}")
    if "BadRequest" in details:
        for violation in details["BadRequest"].field_violations:
            lines.append(f"{violation.field}: {violation.description}")
    return "\n".join(lines)


def state_of(message):
    """The name of a message's state, without what all names of its kind begin with: AUTHORIZED."""
    states = message.DESCRIPTOR.fields_by_name["state"].enum_type
    return states.values_by_number[message.state].name.partition("_STATE_")[2]


def line(name, value):
    print(f"{name:14} {value}", flush=True)


def show(payment):
    """Prints what became of the payment, one line for each thing worth knowing."""
    line("payment", payment.payment_id)
    line("state", state_of(payment))
    line("amount", f"{payment.amount.amount_minor} minor units of {payment.amount.currency}")
    if payment.HasField("card"):
        line("card", f"{payment.card.bin}...{payment.card.last4}")
    authorization = payment.authorization
    if authorization.approval_code:
        line("approval code", authorization.approval_code)
    if payment.HasField("decline"):
        decline = payment.decline
        reason = decline.DESCRIPTOR.fields_by_name["reason"].enum_type
        name = reason.values_by_number[decline.reason].name.removeprefix("DECLINE_REASON_")
        line("declined", f"{name} (DE 39 {decline.response_code})")
    if payment.HasField("pending"):
        line("pending", "the outcome is not known yet: do not charge again")
    line("STAN", authorization.stan)
    line("RRN", authorization.rrn)


def ask(call, request, metadata):
    """Makes a call, and makes it again with the same request where its outcome is not known.

    The gateway does once what one request_id asks for, and answers each repetition alike. A refund is ABORTED
    while the bank has not acknowledged its capture, and is worth repeating too.
    """
    import grpc

    for attempt in range(1, ATTEMPTS + 1):
        try:
            return call(request, metadata=metadata, timeout=ATTEMPT_TIMEOUT_S)
        except grpc.RpcError as error:
            status = error.code().name
            if attempt == ATTEMPTS or status not in REPEATED:
                raise
            wait_s = FIRST_WAIT_S * 2 ** (attempt - 1)
            print(f"{status}: {error.details()}; the same request again in {wait_s} s",
                  file=sys.stderr)
            time.sleep(wait_s)


def pay(channel, metadata, args, sealed_card):
    """Authorizes the payment, and goes on with it where it is authorized; answers the exit code."""
    messages, services = stubs("payment_service")
    service = services.PaymentServiceStub(channel)
    request = messages.AuthorizePaymentRequest(
        request_id=args.request_id,
        merchant_reference=args.order,
        sealed_card=sealed_card,
    )
    request.amount.amount_minor = args.amount_minor
    request.amount.currency = args.currency
    # Printed before it is sent: whatever happens, it is known what was asked.
    line("request", args.request_id)
    line("order", args.order)
    payment = ask(service.AuthorizePayment, request, metadata).payment
    show(payment)
    if state_of(payment) != "AUTHORIZED":
        return 0 if state_of(payment) == "DECLINED" else 1

    # All that is held. One request_id for each payment: run again, it would not capture twice.
    request = messages.CapturePaymentRequest(
        request_id=f"capture-{payment.payment_id}",
        payment_id=payment.payment_id,
    )
    capture = ask(service.CapturePayment, request, metadata).capture
    line("capture", f"{capture.capture_id} {state_of(capture)}")

    messages, services = stubs("refund_service")
    request = messages.CreateRefundRequest(
        request_id=f"refund-{payment.payment_id}",
        payment_id=payment.payment_id,
    )
    request.amount.amount_minor = max(1, args.amount_minor // 2)
    request.amount.currency = args.currency
    refund = ask(services.RefundServiceStub(channel).CreateRefund, request, metadata).refund
    line("refund", f"{refund.refund_id} {state_of(refund)}")
    return 0 if state_of(refund) == "REFUNDED" else 1


def arguments():
    parser = argparse.ArgumentParser(
        description="Seals a card and pays with it, captures the payment and refunds half of it.")
    parser.add_argument("--ready-file", required=True,
                        help="what `payswitch demo --ready-file` wrote")
    parser.add_argument("--pan", default="4242424242424242")
    parser.add_argument("--expiry", default="3012", help="YYMM")
    parser.add_argument("--cvv", default="123")
    parser.add_argument("--holder")
    parser.add_argument("--amount-minor", type=int, default=1234)
    parser.add_argument("--currency", default="EUR")
    parser.add_argument("--order", default=f"order-{secrets.token_hex(4)}")
    parser.add_argument("--request-id", default=secrets.token_urlsafe(16),
                        help="the id of the request, a new one when left out; each run seals the "
                             "card anew, so an id that was used before is refused")
    parser.add_argument("--alg", default="ECDH-ES", choices=["ECDH-ES", "RSA-OAEP-256"])
    parser.add_argument("--session", action="store_true",
                        help="set up a session key first, and seal the card under it")
    parser.add_argument("--seal-only", action="store_true",
                        help="print the sealed card and stop; reads merchant_id and jwks_path only")
    return parser.parse_args()


def read(path):
    """What a file holds."""
    try:
        return pathlib.Path(path).read_bytes()
    except OSError as error:
        sys.exit(f"{path} can't be read: {error.strerror}")


def main():
    args = arguments()
    ready = json.loads(read(args.ready_file))
    names, key = public_key(json.loads(read(ready["jwks_path"])), args.alg)
    merchant_id = ready["merchant_id"]
    if args.seal_only:
        print(seal_card(key, names, args, merchant_id))
        return 0
    # grpcio writes its own log lines to the terminal unless told otherwise.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    import grpc

    channel, metadata = connect(ready)
    with channel:
        try:
            if args.session:
                names, key = open_session(channel, metadata, key, names, merchant_id)
            return pay(channel, metadata, args, seal_card(key, names, args, merchant_id))
        except grpc.RpcError as error:
            print(explain(error), file=sys.stderr)
            return 1


if __name__ == "__main__":
    sys.exit(main())
