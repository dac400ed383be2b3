//! Every method served, from the descriptors, and a request for each that its service accepts.

use std::collections::BTreeSet;

use keyward_proto::v1::{
    CheckRequest, DescribeRequest, ExplainRequest, FetchRequest, FollowHello, FollowRequest, HintRequest, Reference,
    RefreshRequest, ResolveRequest, StatusRequest, WatchRequest, explain_request::Who, follow_request,
};
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_reflection::pb::v1::{ServerReflectionRequest, server_reflection_request::MessageRequest};

/// The paths of all methods, ours and those of health and reflection.
pub(crate) fn described() -> BTreeSet<String> {
    [
        keyward_proto::FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
    ]
    .iter()
    .flat_map(|descriptors| paths(descriptors))
    .collect()
}

fn paths(descriptors: &[u8]) -> Vec<String> {
    let mut paths = Vec::new();
    for file in FileDescriptorSet::decode(descriptors).unwrap().file {
        for service in &file.service {
            let methods = service.method.iter();
            paths.extend(methods.map(|one| format!("/{}.{}/{}", file.package(), service.name(), one.name())));
        }
    }
    paths
}

/// What who is admitted is answered to that request. Where it is not OK the service itself says so, and no one before it.
pub(crate) fn answer(path: &str) -> Code {
    match path {
        // The vault that it would name has its port from the system.
        "/keyward.v1.Peers/Read" => Code::InvalidArgument,
        // Tokens are not bound to pods here.
        "/keyward.v1.Peers/Redeem" | "/keyward.v1.Peers/Entrust" => Code::FailedPrecondition,
        _ => Code::Ok,
    }
}

/// A request that is answered so where its caller is admitted. Empty for a method that has none yet, which its service
/// may well refuse: whoever adds a method adds a request.
pub(crate) fn request(path: &str) -> Vec<u8> {
    let reference = || "db@azurekeyvault".to_owned();
    match path {
        "/keyward.v1.Secrets/Resolve" => {
            let references = vec![Reference { name: "db".into(), query: None }];
            ResolveRequest { references, ..ResolveRequest::default() }.encode_to_vec()
        }
        "/keyward.v1.Sync/Describe" => {
            DescribeRequest { namespace: "shop".into(), name: "db".into(), ..DescribeRequest::default() }
                .encode_to_vec()
        }
        "/keyward.v1.Sync/Fetch" => {
            FetchRequest { namespace: "shop".into(), name: "db".into(), ..FetchRequest::default() }.encode_to_vec()
        }
        "/keyward.v1.Sync/Watch" => WatchRequest {}.encode_to_vec(),
        "/keyward.v1.References/Check" => {
            CheckRequest { namespace: "shop".into(), references: vec![reference()] }.encode_to_vec()
        }
        "/keyward.v1.Peers/Follow" => {
            let word = Some(follow_request::Word::Hello(FollowHello { id: 1 }));
            FollowRequest { word }.encode_to_vec()
        }
        "/keyward.v1.Peers/Hint" => {
            HintRequest { vault: "https://acme.vault.azure.net".into(), name: String::new() }.encode_to_vec()
        }
        "/keyward.v1.Cache/Status" => StatusRequest::default().encode_to_vec(),
        "/keyward.v1.Cache/Refresh" => RefreshRequest::default().encode_to_vec(),
        "/keyward.v1.Cache/Explain" => {
            ExplainRequest { who: Some(Who::Namespace("shop".into())), reference: reference() }.encode_to_vec()
        }
        "/grpc.health.v1.Health/Check" | "/grpc.health.v1.Health/Watch" => {
            HealthCheckRequest::default().encode_to_vec()
        }
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo" => {
            let message_request = Some(MessageRequest::ListServices(String::new()));
            ServerReflectionRequest { host: String::new(), message_request }.encode_to_vec()
        }
        _ => Vec::new(),
    }
}
