// Each program of tests/c that takes no more than its arguments, and under what it runs. Included where `programs!` is defined.

programs! {
    arguments: "arguments" [] plain sanitized valgrind;
    backpressure: "backpressure" [] plain sanitized valgrind;
    contexts: "contexts" [] plain sanitized valgrind;
    delivery_inline: "delivery" ["inline"] plain sanitized valgrind;
    delivery_messages: "delivery" ["messages"] plain sanitized valgrind;
    delivery_pull: "delivery" ["pull"] plain sanitized valgrind;
    delivery_pump: "delivery" ["pump"] plain sanitized valgrind;
    delivery_thread: "delivery" ["thread"] plain sanitized valgrind;
    exits_by_exit: "exits" ["exit"] plain sanitized valgrind_without_leaks;
    exits_by_return: "exits" ["return"] plain sanitized valgrind_without_leaks;
    // In a child, which has no threads, what the parent's threads hold looks lost.
    fork: "fork" [] plain sanitized valgrind_without_leaks;
    json_options: "json_options" [] plain sanitized valgrind;
    lifecycle: "lifecycle" [] plain sanitized valgrind;
    log: "log" [] plain sanitized valgrind;
    queue_inline: "queue" ["inline"] plain sanitized valgrind;
    queue_pump: "queue" ["pump"] plain sanitized valgrind;
    queue_thread: "queue" ["thread"] plain sanitized valgrind;
    receive: "receive" [] plain sanitized valgrind;
    reentrant_inline: "reentrant" ["inline"] plain sanitized valgrind;
    reentrant_pump: "reentrant" ["pump"] plain sanitized valgrind;
    reentrant_thread: "reentrant" ["thread"] plain sanitized valgrind;
    replies: "replies" [] plain sanitized valgrind;
    shutdown: "shutdown" [] plain sanitized valgrind;
    sigpipe_inline: "sigpipe" ["inline"] plain sanitized valgrind;
    sigpipe_pump: "sigpipe" ["pump"] plain sanitized valgrind;
    sigpipe_thread: "sigpipe" ["thread"] plain sanitized valgrind;
    texts: "texts" [] plain sanitized valgrind;
    threads_deflate: "threads" ["deflate"] plain sanitized valgrind;
    threads_inline: "threads" ["inline"] plain sanitized valgrind;
    threads_pull: "threads" ["pull"] plain sanitized valgrind;
    threads_pump: "threads" ["pump"] plain sanitized valgrind;
    threads_thread: "threads" ["thread"] plain sanitized valgrind;
    wakeup_fd: "wakeup" ["fd"] plain sanitized valgrind;
    wakeup_messages: "wakeup" ["messages"] plain sanitized valgrind;
    wakeup_portions: "wakeup" ["portions"] plain sanitized valgrind;
    wakeup_pull: "wakeup" ["pull"] plain sanitized valgrind;
    wakeup_pump: "wakeup" ["pump"] plain sanitized valgrind;
    // As they are, the faults run in tests/plugin_faults.rs.
    fault_01: "faults" ["1"] sanitized valgrind;
    fault_02: "faults" ["2"] sanitized valgrind;
    fault_03: "faults" ["3"] sanitized valgrind;
    fault_04: "faults" ["4"] sanitized valgrind;
    fault_05: "faults" ["5"] sanitized valgrind;
    fault_06: "faults" ["6"] sanitized valgrind;
    fault_07: "faults" ["7"] sanitized valgrind;
    fault_08: "faults" ["8"] sanitized valgrind;
    fault_09: "faults" ["9"] sanitized valgrind;
    fault_10: "faults" ["10"] sanitized valgrind;
    fault_11: "faults" ["11"] sanitized valgrind;
    fault_12: "faults" ["12"] sanitized valgrind;
    fault_13: "faults" ["13"] sanitized valgrind;
    fault_14: "faults" ["14"] sanitized valgrind;
    fault_15: "faults" ["15"] sanitized valgrind;
    fault_16: "faults" ["16"] sanitized valgrind;
    fault_17: "faults" ["17"] sanitized valgrind;
}
