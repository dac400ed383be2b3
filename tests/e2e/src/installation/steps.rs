//! The steps, in order.

mod adopted;
mod before;
mod empty;
mod examples;
mod healing;
mod install;
mod printed;
mod rotation;
mod uninstall;
mod upgrade;

use super::Step;

macro_rules! steps {
    ($($file:ident::$step:ident $carries:literal),+ $(,)?) => {
        pub(super) const STEPS: &[Step] = &[$(Step {
            sentence: stringify!($step),
            carries: $carries,
            run: |site| Box::pin($file::$step(site)),
        }),+];
    };
}

// Whether the story ends where the step fails.
steps![
    empty::one_command_is_enough_on_an_empty_cluster true,
    before::akv2k8s_ran_here true,
    install::definitions_are_taken_over_and_the_release_runs true,
    install::helm_test_passes false,
    examples::a_synced_secret_and_an_injected_variable_as_documented false,
    adopted::what_akv2k8s_left_is_kept_and_brought_up_to_date false,
    upgrade::an_upgrade_fails_no_call false,
    upgrade::a_rollback_and_other_values_fail_no_call false,
    rotation::a_new_authority_is_taken_up_and_fails_no_call false,
    healing::what_is_deleted_comes_back false,
    uninstall::what_is_the_users_stays false,
    printed::no_value_was_printed false,
];
