#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| speedysvc_fuzz::trace::target(data));
