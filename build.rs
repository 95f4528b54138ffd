//! Sets what the linker has to know about the shared library.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=WSPLUG_SONAME");
    println!("cargo:rerun-if-env-changed=WSPLUG_WINDOWS_FILES");
    let system = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if matches!(system.as_str(), "linux" | "android" | "freebsd") {
        // Installed it is found by a name that says its ABI (Makefile); in cargo's folder by the one that it has there.
        let soname = std::env::var("WSPLUG_SONAME").unwrap_or_else(|_| "libwsplug.so".into());
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,{soname}");
        // A library whose threads have run cannot be unmapped: dlclose leaves it where it is.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
    if system == "macos" {
        // Else programs would look for it where it was built. Both clang and the linker itself take it so.
        println!("cargo:rustc-cdylib-link-arg=-install_name");
        println!("cargo:rustc-cdylib-link-arg=@rpath/libwsplug.dylib");
    }
    if system == "windows" {
        // Its name and its version, which scripts/windows.sh writes.
        if let Ok(folder) = std::env::var("WSPLUG_WINDOWS_FILES") {
            let bits = std::env::var("CARGO_CFG_TARGET_POINTER_WIDTH").unwrap_or_default();
            println!("cargo:rustc-cdylib-link-arg={folder}/name{bits}.def");
            println!("cargo:rustc-cdylib-link-arg={folder}/version{bits}.o");
        }
    }
}
