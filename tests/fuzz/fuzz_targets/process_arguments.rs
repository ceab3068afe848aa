#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bricklayer_fuzz::process_arguments(bytes));
