//! An object read as its `AzureKeyVaultSecret` says. Both uses, a variable and a Secret, start from here.

use keyward_crds::akvs::ObjectType;
use keyward_types::SecretBytes;

use super::{
    RenderError, Rendering,
    map::{self, DataByKey},
    transform,
};
use crate::object::{Certificate, Object, PublicKey};

/// What there is to give.
pub(super) enum Content<'a> {
    /// A secret's value, transformed.
    Value(SecretBytes),
    /// A certificate. Transforms are for text and pass it by, as in akv2k8s.
    Certificate(&'a Certificate),
    /// A public key; transforms pass it by too.
    Key(&'a PublicKey),
    /// A map: the whole value transformed, then split.
    Map(DataByKey),
}

impl<'a> Content<'a> {
    pub(super) fn of(object: &'a Object, rendering: &Rendering) -> Result<Self, RenderError> {
        let transformed = |value| transform::apply(value, rendering.transforms());
        match (rendering.object_type, object) {
            (ObjectType::Secret, Object::Secret(value)) => Ok(Self::Value(transformed(value)?)),
            (ObjectType::Certificate, Object::Certificate(certificate)) => Ok(Self::Certificate(certificate)),
            (ObjectType::Key, Object::Key(key)) => Ok(Self::Key(key)),
            (ObjectType::MultiKeyValueSecret, Object::Secret(value)) => {
                let format = rendering.content_type.ok_or(RenderError::NoContentType)?;
                Ok(Self::Map(map::parse(&transformed(value)?, format)?))
            }
            (expected, found) => {
                Err(RenderError::OtherType { expected: type_name(expected), found: object_name(found) })
            }
        }
    }
}

fn type_name(object_type: ObjectType) -> &'static str {
    match object_type {
        ObjectType::Secret => "secret",
        ObjectType::Certificate => "certificate",
        ObjectType::Key => "key",
        ObjectType::MultiKeyValueSecret => "multi-key-value-secret",
    }
}

fn object_name(object: &Object) -> &'static str {
    match object {
        Object::Secret(_) => "secret",
        Object::Certificate(_) => "certificate",
        Object::Key(_) => "key",
    }
}
