//! Turns `proto/` into Rust, without a `protoc` on the machine.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The packages that become Rust: the folder below `proto/`, and the name.
const PACKAGES: [(&str, &str); 2] = [
    ("payswitch/v1", "payswitch.v1"),
    ("payswitch/admin/v1", "payswitch.admin.v1"),
];

/// Messages that carry sealed cards, passcodes, secrets or account numbers. Their `Debug` is written by hand, in
/// `src/merchant_api/pb.rs` and `src/admin_api/pb.rs`, and shows nothing of them.
const WITHOUT_DEBUG: [&str; 8] = [
    ".payswitch.admin.v1.ProposePayoutAccountRequest",
    ".payswitch.v1.AuthorizePaymentRequest",
    ".payswitch.v1.VerifyCardRequest",
    ".payswitch.v1.CreateCardTokenRequest",
    ".payswitch.v1.CreateSealingSessionRequest",
    ".payswitch.v1.PaymentTokenRegistration",
    ".payswitch.v1.CreateWebhookEndpointResponse",
    ".payswitch.v1.RotateWebhookSecretResponse",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    for (folder, package) in PACKAGES {
        compile(folder, package)?;
    }
    Ok(())
}

fn compile(folder: &str, package: &str) -> Result<(), Box<dyn Error>> {
    let mut sources: Vec<PathBuf> = fs::read_dir(Path::new("proto").join(folder))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    sources.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "proto")
    });
    // The order of a directory is chance, and the same sources must give the same program.
    sources.sort();

    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true);
    compiler.include_source_info(true);
    compiler.open_files(&sources)?;

    // What reflection serves: with comments and custom options, which `file_descriptor_set()` drops.
    let descriptors = PathBuf::from(env::var("OUT_DIR")?).join(format!("{package}.bin"));
    fs::write(descriptors, compiler.encode_file_descriptor_set())?;

    tonic_prost_build::configure()
        .build_server(true)
        // `payswitch load`, the demo and the tests are clients of the same API.
        .build_client(true)
        // A map in the order of its keys, so that the same request has the same hash.
        .btree_map(".")
        .skip_debug(WITHOUT_DEBUG)
        .codec_path("crate::grpc::codec::Codec")
        // By far the largest of the things that an event can be about.
        .boxed(".payswitch.v1.Event.subject.payment")
        // It goes from hand to hand through every layer of the server.
        .boxed(".payswitch.v1.AuthorizePaymentResponse.payment")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
