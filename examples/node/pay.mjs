#!/usr/bin/env node
// Seals a card and pays with it, captures the payment and refunds half of it: a complete payswitch client for Node.
//
//     npm install --prefix examples/node
//     cargo run -- demo --ready-file /tmp/ready.json          # in another terminal
//     node examples/node/pay.mjs --ready-file /tmp/ready.json --amount-minor 1234
//
// A call whose outcome is not known is repeated unchanged: the same request_id and the same sealed
// card, so that the card is charged once.
//
// Exit code 0 when the payment is DECLINED, or captured and refunded; 1 otherwise.
// docs/sealing.md specifies the sealed card.

import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { CompactEncrypt, importJWK } from "jose";

const PROTO = fileURLToPath(new URL("../../proto", import.meta.url));
const ERRORS = fileURLToPath(new URL("../errors.proto", import.meta.url));

const ALGORITHMS = ["ECDH-ES", "RSA-OAEP-256"];
// How often a call is made at most, and how long one attempt may take.
const ATTEMPTS = 6;
const ATTEMPT_TIMEOUT_MS = 10_000;
// How long to wait after the first attempt; twice as long after each further one.
const FIRST_WAIT_MS = 500;
// The outcome is not known, or there was no room: the same request is worth repeating.
const REPEATED = ["UNAVAILABLE", "ABORTED", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"];

/** Makes a compact JWE; `header` says how and for what. */
async function seal(key, { lifetimeS, ...header }, payload) {
  const iat = Math.floor(Date.now() / 1000);
  return new CompactEncrypt(new TextEncoder().encode(JSON.stringify(payload)))
    .setProtectedHeader({
      enc: "A256GCM",
      ...header,
      jti: randomBytes(16).toString("base64url"),
      iat,
      exp: iat + lifetimeS,
    })
    .encrypt(key);
}

/** The first key for `alg` in a JWK Set. */
async function publicKey(jwks, alg) {
  const jwk = jwks.keys.find((key) => key.alg === alg);
  if (!jwk) throw new Error(`the gateway publishes no ${alg} key`);
  return { names: { alg, kid: jwk.kid }, key: await importJWK(jwk, alg) };
}

/** Seals the card for one order and one amount; `names` are the key's `alg` and `kid`. */
function sealCard({ key, names }, args, merchant) {
  const card = { pan: args.pan, expiry: args.expiry };
  if (args.cvv) card.cvv = args.cvv;
  if (args.holder) card.holder = args.holder;
  const header = {
    ...names,
    typ: "payswitch-card+jwe",
    merchant,
    order: args.order,
    amount_minor: Number(args["amount-minor"]),
    currency: args.currency,
    lifetimeS: 300,
  };
  return seal(key, header, card);
}

/** Seals a symmetric key of our own choice, under which many cards can then be sealed. */
function sealSessionKey({ key, names }, sessionKey, merchant) {
  const header = { ...names, typ: "payswitch-session+jwe", merchant, lifetimeS: 3600 };
  return seal(key, header, { k: sessionKey.toString("base64url") });
}

/** The gateway's services, and a way to call them: TLS, the API key, a deadline. */
async function connect(ready) {
  const { default: grpc } = await import("@grpc/grpc-js");
  const { loadSync } = await import("@grpc/proto-loader");
  const definition = loadSync(
    ["payment", "refund", "sealing"].map((name) => `payswitch/v1/${name}_service.proto`),
    { includeDirs: [PROTO], keepCase: true, longs: String, enums: String, oneofs: true },
  );
  const { v1 } = grpc.loadPackageDefinition(definition).payswitch;
  const credentials = grpc.credentials.createSsl(read(ready.ca_path));
  const options = { "grpc.ssl_target_name_override": ready.server_name };
  const metadata = new grpc.Metadata();
  metadata.set("authorization", `Bearer ${ready.api_key}`);
  const open = [];
  return {
    call(service, method, request) {
      const client = new v1[service](ready.merchant_api, credentials, options);
      open.push(client);
      const deadline = Date.now() + ATTEMPT_TIMEOUT_MS;
      return new Promise((resolve, reject) => {
        const answered = (error, answer) => (error ? reject(error) : resolve(answer));
        client[method](request, metadata, { deadline }, answered);
      });
    },
    close: () => open.forEach((client) => client.close()),
    nameOf: (code) => grpc.status[code],
  };
}

/** Sets up a session key; answers the key and the names to seal cards with it. */
async function openSession(gateway, recipient, merchant) {
  const sessionKey = randomBytes(32);
  const { kid } = await gateway.call("SealingService", "CreateSealingSession", {
    sealed_session_key: await sealSessionKey(recipient, sessionKey, merchant),
  });
  return { names: { alg: "dir", kid }, key: new Uint8Array(sessionKey) };
}

/** The details of an error of the gateway, by the names of their messages: ErrorInfo, BadRequest, ... */
async function errorDetails(error) {
  const { default: protobuf } = await import("protobufjs");
  const messages = await protobuf.load(ERRORS);
  const decode = (name, bytes) => messages.lookupType(`payswitch.examples.${name}`).decode(bytes);
  const details = {};
  // grpc-js gives the trailer as a buffer and no more.
  for (const bytes of error.metadata?.get("grpc-status-details-bin") ?? []) {
    for (const { typeUrl, value } of decode("Status", bytes).details) {
      const name = typeUrl.slice(typeUrl.lastIndexOf(".") + 1);
      if (messages.lookup(`payswitch.examples.${name}`)) details[name] = decode(name, value);
    }
  }
  return details;
}

/** What an error says, in one line for each thing. */
async function explain(error, status) {
  const { ErrorInfo, BadRequest } = await errorDetails(error);
  const lines = [`${status}: ${error.details}`];
  if (ErrorInfo) lines.push(`${ErrorInfo.reason}, outcome ${ErrorInfo.metadata.outcome}`);
  for (const { field, description } of BadRequest?.fieldViolations ?? []) {
    lines.push(`${field}: ${description}`);
  }
  return lines.join("\n");
}

/** A state without what all names of its kind begin with: AUTHORIZED. */
const stateOf = ({ state }) => state.replace(/^.*_STATE_/, "");

const line = (name, value) => console.log(name.padEnd(14), value);

/** Prints what became of the payment, one line for each thing worth knowing. */
function show(payment) {
  const { amount, card, authorization, decline, pending } = payment;
  line("payment", payment.payment_id);
  line("state", stateOf(payment));
  line("amount", `${amount.amount_minor} minor units of ${amount.currency}`);
  if (card) line("card", `${card.bin}...${card.last4}`);
  if (authorization?.approval_code) line("approval code", authorization.approval_code);
  if (decline) {
    const reason = decline.reason.replace("DECLINE_REASON_", "");
    line("declined", `${reason} (DE 39 ${decline.response_code})`);
  }
  if (pending) line("pending", "the outcome is not known yet: do not charge again");
  line("STAN", authorization?.stan ?? "");
  line("RRN", authorization?.rrn ?? "");
}

/**
 * Makes a call, and makes it again with the same request where its outcome is not known. The gateway does once what
 * one request_id asks for, and answers each repetition alike. A refund is ABORTED while the bank has not
 * acknowledged its capture, and is worth repeating too.
 */
async function ask(gateway, service, method, request) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await gateway.call(service, method, request);
    } catch (error) {
      const status = gateway.nameOf(error.code);
      if (attempt === ATTEMPTS || !REPEATED.includes(status)) throw error;
      const waitMs = FIRST_WAIT_MS * 2 ** (attempt - 1);
      console.error(`${status}: ${error.details}; the same request again in ${waitMs} ms`);
      await sleep(waitMs);
    }
  }
}

/** Authorizes the payment, and goes on with it where it is authorized; answers the exit code. */
async function pay(gateway, args, sealedCard) {
  // Printed before it is sent: whatever happens, it is known what was asked.
  line("request", args["request-id"]);
  line("order", args.order);
  const { payment } = await ask(gateway, "PaymentService", "AuthorizePayment", {
    request_id: args["request-id"],
    amount: { amount_minor: args["amount-minor"], currency: args.currency },
    merchant_reference: args.order,
    sealed_card: sealedCard,
  });
  show(payment);
  if (stateOf(payment) !== "AUTHORIZED") return stateOf(payment) === "DECLINED" ? 0 : 1;

  // All that is held. One request_id for each payment: run again, it would not capture twice.
  const { capture } = await ask(gateway, "PaymentService", "CapturePayment", {
    request_id: `capture-${payment.payment_id}`,
    payment_id: payment.payment_id,
  });
  line("capture", `${capture.capture_id} ${stateOf(capture)}`);
  const half = Math.max(1, Math.floor(Number(args["amount-minor"]) / 2));
  const { refund } = await ask(gateway, "RefundService", "CreateRefund", {
    request_id: `refund-${payment.payment_id}`,
    payment_id: payment.payment_id,
    amount: { amount_minor: half, currency: args.currency },
  });
  line("refund", `${refund.refund_id} ${stateOf(refund)}`);
  return stateOf(refund) === "REFUNDED" ? 0 : 1;
}

/** What a file holds. */
function read(path) {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new Error(`${path} can't be read: ${error.code ?? error.message}`);
  }
}

function readArguments() {
  const { values } = parseArgs({
    options: {
      // What `payswitch demo --ready-file` wrote. Mandatory.
      "ready-file": { type: "string" },
      pan: { type: "string", default: "4242424242424242" },
      expiry: { type: "string", default: "3012" }, // YYMM
      cvv: { type: "string", default: "123" },
      holder: { type: "string" },
      "amount-minor": { type: "string", default: "1234" },
      currency: { type: "string", default: "EUR" },
      order: { type: "string", default: `order-${randomBytes(4).toString("hex")}` },
      // Each run seals the card anew, so an id that was used before is refused.
      "request-id": { type: "string", default: randomBytes(16).toString("base64url") },
      alg: { type: "string", default: "ECDH-ES" }, // or RSA-OAEP-256
      // Set up a session key first, and seal the card under it.
      session: { type: "boolean", default: false },
      // Print the sealed card and stop; reads merchant_id and jwks_path only.
      "seal-only": { type: "boolean", default: false },
    },
  });
  if (!values["ready-file"]) throw new Error("expected --ready-file FILE");
  if (!ALGORITHMS.includes(values.alg)) {
    throw new Error(`expected --alg ${ALGORITHMS.join(" or ")}, got ${values.alg}`);
  }
  return values;
}

/** Does what the arguments ask for; answers the exit code. */
async function main() {
  const args = readArguments();
  const ready = JSON.parse(read(args["ready-file"]));
  const recipient = await publicKey(JSON.parse(read(ready.jwks_path)), args.alg);
  const { merchant_id: merchant } = ready;
  if (args["seal-only"]) {
    console.log(await sealCard(recipient, args, merchant));
    return 0;
  }
  const gateway = await connect(ready);
  try {
    const sealTo = args.session ? await openSession(gateway, recipient, merchant) : recipient;
    return await pay(gateway, args, await sealCard(sealTo, args, merchant));
  } catch (error) {
    const status = gateway.nameOf(error.code);
    throw status ? new Error(await explain(error, status)) : error;
  } finally {
    gateway.close();
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
