//! A JSON patch in the making ([RFC 6902](https://www.rfc-editor.org/rfc/rfc6902)).
//!
//! Only what is ours is written, at its own path: fields of the pod that this program does not know stay as they are.

use json_patch::{
    AddOperation, Patch, PatchOperation, RemoveOperation, ReplaceOperation,
    jsonptr::{PointerBuf, Token},
};
use serde_json::Value;

/// The operations so far.
#[derive(Debug, Default)]
pub struct Edits(Vec<PatchOperation>);

/// A place in the document.
#[derive(Clone, Debug)]
pub struct Path(PointerBuf);

impl Path {
    /// `spec`.
    pub fn spec() -> Self {
        Self(PointerBuf::from_tokens(["spec"]))
    }

    /// A field of the object that is here.
    #[must_use]
    pub fn field(&self, name: &str) -> Self {
        let mut path = self.0.clone();
        path.push_back(Token::new(name));
        Self(path)
    }

    /// A member of the list that is here.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        let mut path = self.0.clone();
        path.push_back(Token::from(index));
        Self(path)
    }
}

impl Edits {
    /// Sets what is at `path`, whether or not there is something.
    pub fn set(&mut self, path: Path, value: Value) {
        self.0.push(PatchOperation::Add(AddOperation { path: path.0, value }));
    }

    /// Puts another value where there is one.
    pub fn replace(&mut self, path: Path, value: Value) {
        self.0.push(PatchOperation::Replace(ReplaceOperation { path: path.0, value }));
    }

    /// Takes away what is at `path`.
    pub fn remove(&mut self, path: Path) {
        self.0.push(PatchOperation::Remove(RemoveOperation { path: path.0 }));
    }

    /// Puts `value` before the member `index` of a list that exists.
    pub fn insert(&mut self, list: &Path, index: usize, value: Value) {
        self.set(list.index(index), value);
    }

    /// Puts `values` at the end of the list at `path`, which has members already or may be absent.
    pub fn append(&mut self, path: &Path, has_members: bool, values: Vec<Value>) {
        if values.is_empty() {
            return;
        }
        if has_members {
            for value in values {
                self.set(path.field("-"), value);
            }
        } else {
            self.set(path.clone(), Value::Array(values));
        }
    }

    /// All of them.
    pub fn finish(self) -> Patch {
        Patch(self.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn edits_are_made_in_order() {
        let mut document = json!({"spec": {"list": [1, 2], "a/b~c": 0, "gone": true}});
        let spec = Path::spec();
        let mut edits = Edits::default();
        edits.append(&spec.field("list"), true, vec![json!(3), json!(4)]);
        edits.append(&spec.field("new"), false, vec![json!(1)]);
        edits.append(&spec.field("empty"), false, Vec::new());
        edits.insert(&spec.field("list"), 0, json!(0));
        edits.replace(spec.field("list").index(1), json!("one"));
        edits.set(spec.field("a/b~c"), json!(1));
        edits.remove(spec.field("gone"));
        json_patch::patch(&mut document, &edits.finish()).unwrap();
        assert_eq!(document, json!({"spec": {"list": [0, "one", 2, 3, 4], "new": [1], "a/b~c": 1}}));
    }
}
