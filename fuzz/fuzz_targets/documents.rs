#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ciyuan_fuzz::documents(data));
