//! Compiles `keyward/v1/*.proto` without protoc, and keeps the descriptors for gRPC reflection.

use std::path::PathBuf;

use prost::Message as _;

const PROTOS: [&str; 5] = [
    "keyward/v1/cache.proto",
    "keyward/v1/peers.proto",
    "keyward/v1/references.proto",
    "keyward/v1/secrets.proto",
    "keyward/v1/sync.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let descriptors = protox::compile(PROTOS, ["."])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    // `file_descriptor_set_path` writes nothing when descriptors are handed in, so write them here.
    std::fs::write(out.join("keyward.v1.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    for proto in PROTOS {
        println!("cargo::rerun-if-changed={proto}");
    }
    Ok(())
}
