//! What a refresh did, as aligned columns and as JSON. Pure.

use std::io::{self, Write};

use keyward_proto::v1::RefreshResponse;
use serde_json::{Value, json};

use super::columns;

/// Writes the table.
pub fn write(answer: &RefreshResponse, out: &mut impl Write) -> io::Result<()> {
    let rows = answer.vaults.iter().map(|vault| {
        let result = if vault.error.is_empty() { "ok".to_owned() } else { vault.error.clone() };
        [vault.vault.clone(), vault.checked.to_string(), vault.changed.to_string(), result]
    });
    columns::table(out, ["VAULT", "CHECKED", "CHANGED", "RESULT"], rows)
}

/// The same as JSON: the field names of the protocol in lower camel case.
pub fn json(answer: &RefreshResponse) -> Value {
    let vaults = answer.vaults.iter().map(
        |vault| json!({"vault": vault.vault, "checked": vault.checked, "changed": vault.changed, "error": vault.error}),
    );
    json!({"vaults": vaults.collect::<Vec<_>>()})
}

/// Whether every vault was checked to the end.
pub fn all_ended(answer: &RefreshResponse) -> bool {
    answer.vaults.iter().all(|vault| vault.error.is_empty())
}

#[cfg(test)]
mod tests {
    use keyward_proto::v1::RefreshedVault;

    use super::*;

    #[test]
    fn each_vault_is_a_line_and_one_that_failed_makes_the_answer_bad() {
        let vault = |name: &str, error: &str| RefreshedVault {
            vault: format!("https://{name}.vault.azure.net"),
            checked: 12,
            changed: 1,
            error: error.to_owned(),
        };
        let mut answer = RefreshResponse { vaults: vec![vault("acme", "")] };
        assert!(all_ended(&answer));
        answer.vaults.push(vault("partner", "the vault is throttling"));
        assert!(!all_ended(&answer));
        let mut out = Vec::new();
        write(&answer, &mut out).unwrap();
        let expected = "\
VAULT                            CHECKED  CHANGED  RESULT
https://acme.vault.azure.net     12       1        ok
https://partner.vault.azure.net  12       1        the vault is throttling
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        assert_eq!(json(&answer)["vaults"][1]["error"], "the vault is throttling");
    }
}
