//! Turns `proto/banksim/v1` into Rust, without a `protoc` on the machine.

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let source = "../proto/banksim/v1/control_service.proto";
    println!("cargo:rerun-if-changed={source}");
    let mut compiler = protox::Compiler::new(["../proto"])?;
    compiler.include_imports(true);
    compiler.include_source_info(true);
    compiler.open_file("banksim/v1/control_service.proto")?;
    // What reflection serves, with comments.
    let descriptors = PathBuf::from(env::var("OUT_DIR")?).join("banksim.v1.bin");
    fs::write(descriptors, compiler.encode_file_descriptor_set())?;
    tonic_prost_build::configure()
        .btree_map(".")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
