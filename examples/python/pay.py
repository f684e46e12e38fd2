#!/usr/bin/env python3
"""Seals a card and pays with it: a complete payswitch client in Python.

    pip install -r examples/python/requirements.txt
    cargo run -- demo --ready-file /tmp/ready.json          # in another terminal
    python3 examples/python/pay.py --ready-file /tmp/ready.json --amount-minor 1234

Exit code 0 when the payment is AUTHORIZED or DECLINED, 1 otherwise.
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

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto"

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

    with open(ready["ca_path"], "rb") as file:
        credentials = grpc.ssl_channel_credentials(file.read())
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
        timeout=10,
    )
    return {"alg": "dir", "kid": answer.kid}, session_key


def show(payment, state):
    """Prints what became of the payment, one line for each thing worth knowing."""
    amount = f"{payment.amount.amount_minor} minor units of {payment.amount.currency}"
    lines = [("payment", payment.payment_id), ("state", state), ("amount", amount)]
    if payment.HasField("card"):
        lines.append(("card", f"{payment.card.bin}...{payment.card.last4}"))
    if payment.HasField("authorization"):
        lines.append(("approval code", payment.authorization.approval_code))
    if payment.HasField("decline"):
        decline = payment.decline
        reason = decline.DESCRIPTOR.fields_by_name["reason"].enum_type
        name = reason.values_by_number[decline.reason].name.removeprefix("DECLINE_REASON_")
        lines.append(("declined", f"{name} (DE 39 {decline.response_code})"))
    if payment.HasField("pending"):
        lines.append(("pending", "the outcome is not known yet: do not charge again"))
    lines += [("STAN", payment.stan), ("RRN", payment.rrn)]
    for name, value in lines:
        print(f"{name:14} {value}")


def pay(channel, metadata, args, sealed_card):
    """Authorizes the payment; answers the exit code."""
    import grpc

    messages, services = stubs("payment_service")
    request = messages.AuthorizePaymentRequest(
        request_id=secrets.token_urlsafe(16),
        merchant_reference=args.order,
        sealed_card=sealed_card,
    )
    request.amount.amount_minor = args.amount_minor
    request.amount.currency = args.currency
    service = services.PaymentServiceStub(channel)
    try:
        answer = service.AuthorizePayment(request, metadata=metadata, timeout=10)
    except grpc.RpcError as error:
        print(f"{error.code().name}: {error.details()}", file=sys.stderr)
        return 1
    payment = answer.payment
    states = payment.DESCRIPTOR.fields_by_name["state"].enum_type.values_by_number
    state = states[payment.state].name.removeprefix("PAYMENT_STATE_")
    show(payment, state)
    return 0 if state in ("AUTHORIZED", "DECLINED") else 1


def arguments():
    parser = argparse.ArgumentParser(description="Seals a card and pays with it.")
    parser.add_argument("--ready-file", default="demo-data/ready.json",
                        help="what `payswitch demo --ready-file` wrote")
    parser.add_argument("--pan", default="4242424242424242")
    parser.add_argument("--expiry", default="3012", help="YYMM")
    parser.add_argument("--cvv", default="123")
    parser.add_argument("--holder")
    parser.add_argument("--amount-minor", type=int, default=1234)
    parser.add_argument("--currency", default="EUR")
    parser.add_argument("--order", default=f"order-{secrets.token_hex(4)}")
    parser.add_argument("--alg", default="ECDH-ES", choices=["ECDH-ES", "RSA-OAEP-256"])
    parser.add_argument("--session", action="store_true",
                        help="set up a session key first, and seal the card under it")
    parser.add_argument("--seal-only", action="store_true",
                        help="print the sealed card and stop; reads merchant_id and jwks_path only")
    return parser.parse_args()


def main():
    args = arguments()
    with open(args.ready_file, encoding="utf-8") as file:
        ready = json.load(file)
    with open(ready["jwks_path"], encoding="utf-8") as file:
        names, key = public_key(json.load(file), args.alg)
    merchant_id = ready["merchant_id"]
    if args.seal_only:
        print(seal_card(key, names, args, merchant_id))
        return 0
    # grpcio writes its own log lines to the terminal unless told otherwise.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    channel, metadata = connect(ready)
    with channel:
        if args.session:
            names, key = open_session(channel, metadata, key, names, merchant_id)
        return pay(channel, metadata, args, seal_card(key, names, args, merchant_id))


if __name__ == "__main__":
    sys.exit(main())
