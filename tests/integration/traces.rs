//! Traces, as a collector that we did not write takes them.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use payswitch::merchant_api::pb;
use payswitch::merchant_api::pb::PaymentState as State;
use serde_json::Value;
use tonic::Request;

use crate::capturing;
use crate::demo::text;
use crate::gateway::{Gateway, Settings};
use crate::harness::{eventually, paid, pay_with, run, with_key};
use crate::tools::tool;

/// Takes spans until its input ends, and prints each as a line of JSON. First it prints its port.
const COLLECTOR: &str = r"
import json, sys
from concurrent import futures
import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as messages, trace_service_pb2_grpc as service

spans = []

class Collector(service.TraceServiceServicer):
    def Export(self, request, context):
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                spans.extend((resource.resource, span) for span in scope.spans)
        return messages.ExportTraceServiceResponse()

def fields(attributes):
    return {it.key: getattr(it.value, it.value.WhichOneof('value')) for it in attributes}

server = grpc.server(futures.ThreadPoolExecutor())
service.add_TraceServiceServicer_to_server(Collector(), server)
print(server.add_insecure_port('127.0.0.1:0'), flush=True)
server.start()
sys.stdin.read()
for resource, span in spans:
    print(json.dumps({
        'of': fields(resource.attributes), 'name': span.name, 'kind': span.kind, 'trace': span.trace_id.hex(),
        'id': span.span_id.hex(), 'parent': span.parent_span_id.hex(), 'events': len(span.events),
        'took': span.end_time_unix_nano - span.start_time_unix_nano, 'fields': fields(span.attributes),
    }))
";

/// The trace and the span of the caller, who would not have it sampled.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

async fn gateway(endpoint: &str) -> Gateway {
    let config = format!("[traces]\nendpoint = \"{endpoint}\"\none_in = 1\n");
    let settings = Settings {
        merchants: &["shop"],
        profile: include_str!("../../hosts/acquirer.toml"),
        config: &config,
        ..Settings::default()
    };
    Gateway::start_prepared(settings, |_| {}).await
}

async fn stop(gateway: Gateway) {
    gateway.process.send("TERM");
    let status = gateway.process.ended().await;
    assert!(status.success(), "{status}");
}

#[test]
fn a_call_is_shown_with_what_it_waited_for() {
    run(async {
        let mut collector = tool("python3")
            .args(["-c", COLLECTOR])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        let mut printed = BufReader::new(collector.stdout.take().expect("a pipe"));
        let mut port = String::new();
        printed.read_line(&mut port).expect("a port");
        let gateway = gateway(&format!("http://127.0.0.1:{}", port.trim())).await;
        let mut payments = with_key(gateway.connect().await, &gateway.api_keys[0]);
        let mut request = Request::new(pay_with("pm_test_visa", 1250, "EUR"));
        let context = format!("00-{TRACE}-{CALLER}-00");
        let context = context.parse().expect("a header");
        request.metadata_mut().insert("traceparent", context);
        let payment = paid(payments.authorize_payment(request).await);
        assert_eq!(payment.state(), State::Authorized);
        let capture = pb::CapturePaymentRequest {
            request_id: "capture-1".into(),
            payment_id: payment.payment_id.clone(),
            ..Default::default()
        };
        let (_, captured) = capturing::capture(&mut payments, capture).await;
        eventually("the bank's answer", async || {
            let capture = capturing::get(&mut payments, &captured.capture_id).await;
            (capture.state() == pb::CaptureState::Captured).then_some(())
        })
        .await;
        let log = text(&gateway.log);
        stop(gateway).await;
        drop(collector.stdin.take());
        let mut spans = String::new();
        printed.read_to_string(&mut spans).expect("spans");
        assert!(collector.wait().expect("its end").success());
        for number in ["4111111111111111", "4242424242424242"] {
            assert!(!spans.contains(number), "{spans}");
        }
        let read = |line: &str| serde_json::from_str(line).expect("a span");
        let spans: Vec<Value> = spans.lines().map(read).collect();
        let of_trace: Vec<_> = spans.iter().filter(|span| span["trace"] == TRACE).collect();
        let within = |parent: &str| {
            let within = of_trace.iter().filter(|span| span["parent"] == parent);
            within.copied().collect::<Vec<_>>()
        };
        let [call] = *within(CALLER) else {
            panic!("one call: {spans:#?}");
        };
        assert_eq!(call["name"], "PaymentService/AuthorizePayment");
        assert_eq!(call["of"]["service.name"], "payswitch");
        assert_eq!(call["fields"]["rpc.grpc.status_code"], 0);
        let id = |span: &Value| span["id"].as_str().expect("an id").to_owned();
        let [operation] = *within(&id(call)) else {
            panic!("one operation: {of_trace:#?}");
        };
        assert_eq!(operation["fields"]["payment.id"], *payment.payment_id);
        assert_eq!(operation["fields"]["merchant.id"], "shop");
        let authorization = payment.authorization.expect("an authorization");
        let operation_id = authorization.operation_id;
        assert_eq!(operation["fields"]["operation.id"], *operation_id);
        let steps = within(&id(operation));
        let names: Vec<_> = steps.iter().map(|span| &span["name"]).collect();
        assert_eq!(names, ["commit", "exchange", "commit"]);
        let exchange = steps[1];
        for (field, expected) in [
            ("host.id", "acquirer"),
            ("operation.id", &operation_id),
            ("mti", "0100"),
            ("stan", &authorization.stan),
            ("rrn", &authorization.rrn),
            ("outcome", "APPROVED"),
        ] {
            assert_eq!(exchange["fields"][field], *expected, "{field}");
        }
        // No call waits for the message of a capture.
        let attempt = spans.iter().find(|span| span["name"] == "attempt");
        let attempt = attempt.expect("an attempt");
        assert_eq!(attempt["parent"], "");
        assert_eq!(attempt["fields"]["payment.id"], *payment.payment_id);
        let is_its = |span: &&Value| span["parent"] == attempt["id"] && span["name"] == "exchange";
        let exchange = spans.iter().find(is_its).expect("its exchange");
        assert_eq!(exchange["fields"]["mti"], "0220");
        assert!(spans.iter().all(|span| span["events"] == 0), "{spans:#?}");
        assert!(!log.contains("rpc.method"), "a line with a span: {log}");
    });
}

#[test]
fn a_collector_that_is_away_is_not_missed() {
    run(async {
        // Nobody listens at tcpmux.
        let gateway = gateway("http://127.0.0.1:1").await;
        let mut payments = with_key(gateway.connect().await, &gateway.api_keys[0]);
        let request = pay_with("pm_test_visa", 1250, "EUR");
        let payment = paid(payments.authorize_payment(request).await);
        assert_eq!(payment.state(), State::Authorized);
        stop(gateway).await;
    });
}
