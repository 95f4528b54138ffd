//! The seventeen faults of the 4D plugin that wsplug was modelled on: one test each, through the C ABI.
//! What each does stands in tests/c/faults.c.

#[path = "support/cc.rs"]
mod cc;

macro_rules! faults {
    ($($name:ident $number:literal)*) => {
        $(#[test]
        fn $name() {
            cc::check("faults", &[$number], cc::Under::Nothing);
        })*
    };
}

faults! {
    fault_01_a_clients_open_arrives "1"
    fault_02_a_slow_callback_holds_up_nobody_and_may_call_everything "2"
    fault_03_a_stopped_client_does_not_come_back "3"
    fault_04_stop_before_the_first_start_does_no_harm "4"
    fault_05_a_second_start_is_refused_and_leaks_nothing "5"
    fault_06_a_client_starts_again_after_the_peer_closed "6"
    fault_07_localhost_ipv6_and_port_0_work_and_the_real_port_is_told "7"
    fault_08_ping_options_have_their_effect_and_replies_name_options_as_given "8"
    fault_09_wrong_types_and_bad_refs_are_errors "9"
    fault_10_refs_are_not_reused_and_unknown_targets_have_a_status "10"
    fault_11_binary_is_sent_and_received_without_loss "11"
    fault_12_messages_and_queues_have_limits "12"
    fault_13_protocol_origin_path_and_authorisation_are_checked "13"
    fault_14_masking_keys_are_random "14"
    fault_15_many_clients_at_once_and_failed_handshakes_leave_nothing_behind "15"
    fault_16_nothing_is_printed_lost_at_the_end_or_late "16"
    fault_17_reconnection_has_jitter_and_starts_with_the_first_attempt "17"
}
