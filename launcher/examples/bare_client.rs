//! The least that could do the launcher's job: one call with tonic, then the program. What `bench-launcher` compares
//! with; not a thing to use.
//!
//! `bare_client BROKER CA_FILE TOKEN_FILE NAME PROGRAM`

use std::convert::Infallible;
use std::error::Error;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use keyward_proto::v1::secrets_client::SecretsClient;
use keyward_proto::v1::{Reference, ResolveRequest};
use tonic::Request;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

fn main() -> Result<Infallible, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [broker, ca_file, token_file, name, program] = arguments.as_slice() else {
        return Err("usage: bare_client BROKER CA_FILE TOKEN_FILE NAME PROGRAM".into());
    };
    let authority = Certificate::from_pem(std::fs::read(ca_file)?);
    let token = std::fs::read_to_string(token_file)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let mut values = runtime.block_on(async {
        let tls = ClientTlsConfig::new().ca_certificate(authority);
        let channel = Endpoint::from_shared(broker.clone())?.tls_config(tls)?.connect().await?;
        let references = vec![Reference { name: name.clone(), query: None }];
        let mut request = Request::new(ResolveRequest { references, ..ResolveRequest::default() });
        request.metadata_mut().insert("authorization", format!("Bearer {}", token.trim()).parse()?);
        let reply = SecretsClient::new(channel).resolve(request).await?;
        Ok::<_, Box<dyn Error>>(reply.into_inner().values)
    })?;
    drop(runtime);
    let value = String::from_utf8(values.pop().ok_or("no value")?)?;
    Err(Command::new(program).env_clear().env("VALUE", value).exec().into())
}
