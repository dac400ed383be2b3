//! The chart, rendered for a file of values, and shown to the API server.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail, ensure};

use crate::{helm::helm, kubectl::kubectl};

/// As `kubectl apply` would, but nothing is kept. What other managers own is the release's to take.
const DRY_RUN: [&str; 7] =
    ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "--filename", "-"];

/// What the chart renders, hooks included.
pub(super) struct Rendered {
    values: String,
    namespace: String,
    documents: Vec<String>,
}

impl Rendered {
    /// For a file of values, by its path in the repository, and an API server of that version. helm asks none here.
    pub(super) async fn of(values: &str, namespace: &str, version: &str) -> anyhow::Result<Self> {
        let template = ["template", "keyward", "charts/keyward", "--namespace", namespace, "--values", values];
        let there = [
            "--kube-version",
            version,
            "--api-versions",
            "cert-manager.io/v1",
            "--api-versions",
            "monitoring.coreos.com/v1",
        ];
        let text = helm(&[template.as_slice(), &there].concat()).await?;
        let documents = text.split("---\n").filter(|document| document.contains("\nkind: "));
        let documents: Vec<_> = documents.map(str::to_owned).collect();
        ensure!(documents.len() > 10, "{values}: {} documents", documents.len());
        Ok(Self { values: values.to_owned(), namespace: namespace.to_owned(), documents })
    }

    /// Where the object first says `right`, it says `wrong`.
    pub(super) fn misspelt(mut self, name: &str, right: &str, wrong: &str) -> anyhow::Result<Self> {
        let mut named = self.documents.iter_mut().filter(|document| object(document) == name);
        let document = named.next().with_context(|| format!("{}: no {name}", self.values))?;
        ensure!(document.contains(right), "{}: {name} does not say {right}", self.values);
        *document = document.replacen(right, wrong, 1);
        Ok(self)
    }

    /// Whether the API server accepts every object without a warning. An error names the file and each object that it does
    /// not accept.
    pub(super) async fn accepted(&self) -> anyhow::Result<()> {
        if accepted(&self.documents.join("---\n")).await.is_ok() {
            return Ok(());
        }
        // kubectl does not always say of which object it speaks: they are shown one by one.
        let mut refused = Vec::new();
        for document in &self.documents {
            if let Err(error) = accepted(document).await {
                refused.push(format!("{}: {error:#}", object(document)));
            }
        }
        ensure!(!refused.is_empty(), "{}: refused together, and accepted one by one", self.values);
        bail!("{}: {}", self.values, refused.join("\n"));
    }

    /// Which kinds there are.
    pub(super) fn kinds(&self) -> BTreeSet<String> {
        self.documents.iter().map(|document| field(document, "kind: ")).collect()
    }

    /// Namespaces of objects, other than the release's.
    pub(super) fn other_namespaces(&self) -> BTreeSet<String> {
        let all = self.documents.iter().map(|document| field(document, "  namespace: "));
        all.filter(|namespace| !namespace.is_empty() && *namespace != self.namespace).collect()
    }
}

async fn accepted(documents: &str) -> anyhow::Result<()> {
    let printed = kubectl(&DRY_RUN, documents).await?;
    ensure!(!printed.stderr.contains("Warning:"), "{}", printed.stderr.trim());
    Ok(())
}

/// Kind and name.
fn object(document: &str) -> String {
    format!("{} {}", field(document, "kind: "), field(document, "  name: "))
}

/// The value of the first line that begins so.
fn field(document: &str, begin: &str) -> String {
    let value = document.lines().find_map(|line| line.strip_prefix(begin));
    value.unwrap_or_default().trim_matches(['"', ' ']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_called_by_its_kind_and_name() {
        let document =
            "# Source: x\napiVersion: v1\nkind: Pod\nmetadata:\n  name: keyward-test\n  namespace: \"shop\"\n";
        assert_eq!(object(document), "Pod keyward-test");
        assert_eq!(field(document, "  namespace: "), "shop");
        assert_eq!(field(document, "  uid: "), "");
    }
}
