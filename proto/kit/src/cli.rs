//! Command lines whose errors name the environment variable at fault.
//!
//! clap names the flag and the value. In a container nobody passed that flag: the value came from a variable.

use std::ffi::OsString;

use clap::{
    Parser,
    error::{ContextKind, ContextValue},
};

/// What `--version` says: the package's version, or what the build was told in `KEYWARD_VERSION`, which names the commit
/// too. Asked where it is written, so that a build that is told so compiles only that anew.
#[macro_export]
macro_rules! version {
    () => {
        match option_env!("KEYWARD_VERSION") {
            Some(version) => version,
            None => env!("CARGO_PKG_VERSION"),
        }
    };
}

/// Parses the process's own arguments; without a subcommand they are `default`'s. On bad input, and for `--help` and
/// `--version`, it prints and ends the process as clap does.
pub fn parse<P: Parser>(default: &str, version: &'static str) -> P {
    let command = P::command().version(version);
    let arguments = with_default(&command, default, std::env::args_os().collect());
    try_parse(command, arguments, |name| std::env::var_os(name)).unwrap_or_else(|error| error.exit())
}

/// Puts the subcommand `default` in front of arguments that begin with none, nor with a flag of `command` itself.
fn with_default(command: &clap::Command, default: &str, mut arguments: Vec<OsString>) -> Vec<OsString> {
    let own = ["help", "--help", "-h", "--version", "-V"];
    let first = arguments.get(1).map(|first| first.to_string_lossy().into_owned());
    let named = first.is_some_and(|first| own.contains(&first.as_str()) || command.find_subcommand(&first).is_some());
    if !named {
        arguments.insert(1.min(arguments.len()), default.into());
    }
    arguments
}

/// [`parse`] without the process: `variable` looks an environment variable up, for the error's text only.
fn try_parse<P: Parser>(
    command: clap::Command,
    arguments: Vec<OsString>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<P, clap::Error> {
    let chosen = arguments.get(1).cloned().unwrap_or_default();
    let parsed = command.try_get_matches_from(arguments).and_then(|matches| P::from_arg_matches(&matches));
    parsed.map_err(|error| {
        let command = P::command();
        // Two subcommands may have a flag of one name and a variable each.
        let command = chosen.to_str().and_then(|name| command.find_subcommand(name)).unwrap_or(&command);
        name_variable(command, error, variable)
    })
}

fn name_variable(
    command: &clap::Command,
    mut error: clap::Error,
    variable: impl Fn(&str) -> Option<OsString>,
) -> clap::Error {
    if let Some(ContextValue::Strings(missing)) = error.get(ContextKind::InvalidArg) {
        let or_variable = |flag: &String| match variable_of(command, flag) {
            Some(name) => format!("{flag} (or environment variable {name})"),
            None => flag.clone(),
        };
        let missing = missing.iter().map(or_variable).collect();
        error.insert(ContextKind::InvalidArg, ContextValue::Strings(missing));
        return error;
    }
    let (Some(ContextValue::String(flag)), Some(ContextValue::String(value))) =
        (error.get(ContextKind::InvalidArg), error.get(ContextKind::InvalidValue))
    else {
        return error;
    };
    let Some(name) = variable_of(command, flag) else { return error };
    if variable(&name).is_some_and(|set| set == value.as_str()) {
        let flag = format!("{flag}' from environment variable '{name}");
        error.insert(ContextKind::InvalidArg, ContextValue::String(flag));
    }
    error
}

/// The variable of the flag that clap shows as `--flag <VALUE>`, here or in a subcommand.
fn variable_of(command: &clap::Command, flag: &str) -> Option<String> {
    let long = flag.strip_prefix("--")?.split([' ', '=']).next()?;
    let own = command.get_arguments().find(|argument| argument.get_long() == Some(long));
    own.and_then(|argument| argument.get_env())
        .map(|name| name.to_string_lossy().into_owned())
        .or_else(|| command.get_subcommands().find_map(|sub| variable_of(sub, flag)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        /// How many
        #[arg(long, env = "KEYWARD_TEST_COUNT")]
        count: u32,
    }

    fn parsed<P: Parser>(arguments: &[&str], variable: Option<&str>) -> Result<P, clap::Error> {
        let arguments = arguments.iter().map(OsString::from).collect();
        try_parse(P::command().version("1.2.3 (abc1234)"), arguments, |_| variable.map(OsString::from))
    }

    fn error(variable: Option<&str>) -> String {
        parsed::<Cli>(&["test", "--count", "many"], variable).unwrap_err().to_string()
    }

    #[derive(Debug, Parser)]
    enum Commands {
        Serve {
            #[arg(long, env = "KEYWARD_TEST_SERVED")]
            dir: String,
        },
        Ask {
            #[arg(long, env = "KEYWARD_TEST_ASKED")]
            dir: String,
        },
    }

    #[test]
    fn a_missing_flag_is_named_with_the_variable_of_its_own_subcommand() {
        for (name, variable) in [("serve", "KEYWARD_TEST_SERVED"), ("ask", "KEYWARD_TEST_ASKED")] {
            let error = parsed::<Commands>(&["test", name], None).unwrap_err().to_string();
            assert!(error.contains(variable), "{name}: {error}");
        }
    }

    #[test]
    fn a_value_from_the_environment_is_named_with_its_variable() {
        assert!(
            error(Some("many")).contains("'many' for '--count <COUNT>' from environment variable 'KEYWARD_TEST_COUNT'"),
            "{}",
            error(Some("many"))
        );
    }

    #[test]
    fn a_value_from_the_command_line_is_named_with_its_flag_alone() {
        for variable in [None, Some("7")] {
            let text = error(variable);
            assert!(text.contains("'many' for '--count <COUNT>'") && !text.contains("KEYWARD_TEST_COUNT"), "{text}");
        }
    }

    #[test]
    fn what_is_missing_is_named_with_its_variable() {
        let error = parsed::<Cli>(&["test"], None).unwrap_err().to_string();
        assert!(error.contains("--count <COUNT> (or environment variable KEYWARD_TEST_COUNT)"), "{error}");
    }

    #[test]
    fn the_default_subcommand_is_put_where_none_is_named() {
        let command = clap::Command::new("broker")
            .subcommand(clap::Command::new("serve"))
            .subcommand(clap::Command::new("status"));
        for (given, expected) in [
            (vec!["broker"], vec!["broker", "serve"]),
            (vec!["broker", "--listen", "x"], vec!["broker", "serve", "--listen", "x"]),
            (vec!["broker", "serve", "--listen"], vec!["broker", "serve", "--listen"]),
            (vec!["broker", "status"], vec!["broker", "status"]),
            (vec!["broker", "--help"], vec!["broker", "--help"]),
            (vec!["broker", "--version"], vec!["broker", "--version"]),
        ] {
            let given = given.into_iter().map(OsString::from).collect();
            let expected: Vec<OsString> = expected.into_iter().map(OsString::from).collect();
            assert_eq!(with_default(&command, "serve", given), expected);
        }
    }

    #[test]
    fn good_arguments_are_parsed() {
        let cli: Cli = parsed(&["test", "--count", "3"], None).unwrap();
        assert_eq!(cli.count, 3);
    }

    #[test]
    fn the_version_is_the_one_given() {
        let said = parsed::<Cli>(&["test", "--version"], None).unwrap_err();
        assert_eq!(said.kind(), clap::error::ErrorKind::DisplayVersion);
        assert!(said.to_string().ends_with(" 1.2.3 (abc1234)\n"), "{said}");
    }
}
