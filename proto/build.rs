//! Compiles the wire with a compiler written in Rust, so that no `protoc` has to be installed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::var_os("CARGO_FEATURE_WIRE").is_none() {
        return Ok(());
    }
    println!("cargo::rerun-if-changed=agent/v1/agent.proto");
    let files = protox::compile(["agent/v1/agent.proto"], ["."])?;
    // Secrets and keys never reach a log by way of `{:?}`.
    tonic_prost_build::configure()
        .skip_debug(["bricklayer.agent.v1.EnrollRequest"])
        .build_transport(false)
        .codec_path("crate::wire::codec::SmallCodec")
        .compile_fds(files)?;
    Ok(())
}
