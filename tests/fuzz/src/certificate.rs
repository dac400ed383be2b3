//! Certificates as a vault gives them: a leaf, and its twin among the secrets, PFX or PEM.

use keyward_broker::{
    object::{Object, RawBody, RawSecret},
    render::{MAX_BYTES, Rendering, parse, view},
};
use keyward_crds::akvs::ObjectType;
use keyward_types::SecretBytes;

use crate::assert_is_shown_well;

const FORMS: [Option<&str>; 3] = [Some("application/x-pkcs12"), Some("application/x-pem-file"), None];

/// One byte says which form, two how long the leaf is; then the leaf and the twin.
///
/// # Panics
///
/// Where what is made of it is no PEM, is larger than it may be, or has no view; where a message is unfit for people.
pub fn certificate(bytes: &[u8]) {
    let Some(([form, high, low], rest)) = bytes.split_first_chunk::<3>().map(|(head, rest)| (*head, rest)) else {
        return;
    };
    let length = usize::from(u16::from_be_bytes([high, low])).min(rest.len());
    let (leaf, value) = rest.split_at(length);
    let content_type = FORMS[usize::from(form) % FORMS.len()].map(str::to_owned);
    let twin = RawSecret { value: SecretBytes::new(value), content_type };
    match parse(&RawBody::Certificate { leaf: leaf.to_vec(), twin }) {
        Ok(object) => {
            let Object::Certificate(certificate) = &object else { panic!("a certificate became something else") };
            assert!(certificate.chain.starts_with("-----BEGIN CERTIFICATE-----"));
            assert!(certificate.root.as_ref().is_none_or(|root| certificate.chain.contains(root.as_str())));
            assert!(object.weight() <= 4 * MAX_BYTES);
            let rendering = Rendering { object_type: ObjectType::Certificate, content_type: None, output: None };
            if let Err(error) = view(&object, &rendering, None) {
                assert_is_shown_well(&error.to_string());
            }
        }
        Err(error) => assert_is_shown_well(&error.to_string()),
    }
}
