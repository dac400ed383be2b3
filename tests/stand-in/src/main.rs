//! The stand-in as a process, for tests written in shell.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use keyward_stand_in::{Authority, StandIn};
use tonic::Status;

/// A broker that answers from its command line. It makes a certificate authority of its own at each start.
#[derive(Parser)]
#[command(version, about)]
struct Args {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Names and addresses the certificate is for.
    #[arg(long = "name", default_values = ["localhost", "127.0.0.1"])]
    names: Vec<String>,
    /// Where to write the authority's certificate.
    #[arg(long)]
    ca: PathBuf,
    /// `REFERENCE=VALUE`: what a reference is answered with. Others are not found.
    #[arg(long = "value", value_parser = pair)]
    values: Vec<(String, String)>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (reference, value) = text.split_once('=').ok_or("expected REFERENCE=VALUE")?;
    Ok((reference.to_owned(), value.to_owned()))
}

#[allow(clippy::print_stdout, reason = "the address is this program's output")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let authority = Authority::new()?;
    let names: Vec<&str> = args.names.iter().map(String::as_str).collect();
    let values = args.values;
    let server = StandIn::start(args.listen, &authority.issue(&names)?, move |call| {
        let value = |reference: &String| {
            let found = values.iter().find(|(name, _)| name == reference);
            found.map(|(_, value)| value.clone().into_bytes()).ok_or_else(|| Status::not_found(reference.clone()))
        };
        call.references.iter().map(value).collect()
    })?;
    std::fs::write(&args.ca, authority.pem())?;
    println!("{}", server.address());
    // Serves until it is killed.
    loop {
        std::thread::park();
    }
}
