# make, then make install [PREFIX=/usr/local] [LIBDIR=…] [DESTDIR=…]; make uninstall with the same.
# TRIPLE=… builds for another Linux; RUNNER=… is then what runs its programs here.
PREFIX     = /usr/local
BINDIR     = $(PREFIX)/bin
LIBDIR     = $(PREFIX)/lib
INCLUDEDIR = $(PREFIX)/include
DATADIR    = $(PREFIX)/share
TRIPLE     =
RUNNER     =
INSTALL    = install

VERSION := $(shell sed -n '0,/^version = /s/^version = "\(.*\)"/\1/p' Cargo.toml)
ABI     := $(shell sed -n 's/^\#define WSPLUG_ABI_VERSION //p' include/wsplug.h)
SONAME  := libwsplug.so.$(ABI)
TARGET  := $(or $(CARGO_TARGET_DIR),target)
BUILT    = $(TARGET)/$(if $(TRIPLE),$(TRIPLE)/)release
# What the command tells about itself: man pages and completions.
PAGES    = $(BUILT)/pages
POINTER  = 8

DOCUMENTS = README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE
# In the folders that they have here, so that their links lead somewhere.
FOLDERS   = $(wildcard docs/*.* examples-c/*.c examples-c/*.html examples-c/*.sh examples-c/Makefile examples-hosts/*/*.* examples-hosts/*.*)
MAN       = wsplug wsplug-serve wsplug-connect wsplug-ping wsplug-bench wsplug-doctor wsplug-completions wsplug-man \
            wsplug-autobahn wsplug-autobahn-server wsplug-autobahn-client

to = $(DESTDIR)$(1)
fill = sed -e 's|@VERSION@|$(VERSION)|g' -e 's|@FILE@|libwsplug.so.$(VERSION)|g' -e 's|@NAME@|$(SONAME)|g' -e 's|@POINTER@|$(POINTER)|g' -e "s|@INCLUDE@|$$(realpath -m --relative-to=$(2) $(INCLUDEDIR))|g" packaging/$(1)

# What ring's build script looks at: with what cargo tells the tests, or a release its archives, it would run again and all be built anew.
unexport OUT_DIR SOURCE_DATE_EPOCH $(filter CARGO_PKG_% CARGO_MANIFEST_%,$(.VARIABLES))

all:
	RUSTFLAGS="$$RUSTFLAGS $$(scripts/remap.sh)" WSPLUG_SONAME=$(SONAME) \
		cargo build --release --locked --workspace $(if $(TRIPLE),--target $(TRIPLE))
	ln -sf libwsplug.so $(BUILT)/$(SONAME)
	rm -rf $(PAGES)
	mkdir -p $(PAGES)
	$(RUNNER) $(BUILT)/wsplug man $(PAGES)
	for shell in bash zsh fish; do $(RUNNER) $(BUILT)/wsplug completions $$shell > $(PAGES)/$$shell || exit 1; done

# Builds nothing, so that root needs no cargo.
install:
	@test -e $(PAGES)/fish || { echo "run make first" >&2; exit 1; }
	$(INSTALL) -d $(call to,$(BINDIR)) $(call to,$(LIBDIR))/pkgconfig $(call to,$(LIBDIR))/cmake/wsplug $(call to,$(INCLUDEDIR))
	$(INSTALL) -m 755 $(BUILT)/wsplug $(call to,$(BINDIR))/wsplug
	$(INSTALL) -m 755 $(BUILT)/libwsplug.so $(call to,$(LIBDIR))/libwsplug.so.$(VERSION)
	ln -sf libwsplug.so.$(VERSION) $(call to,$(LIBDIR))/$(SONAME)
	ln -sf $(SONAME) $(call to,$(LIBDIR))/libwsplug.so
	$(INSTALL) -m 644 include/wsplug.h $(call to,$(INCLUDEDIR))/wsplug.h
	$(call fill,wsplug.pc.in,$(LIBDIR)/pkgconfig) > $(call to,$(LIBDIR))/pkgconfig/wsplug.pc
	$(call fill,wsplug-config.cmake.in,$(LIBDIR)/cmake/wsplug) > $(call to,$(LIBDIR))/cmake/wsplug/wsplug-config.cmake
	$(call fill,wsplug-config-version.cmake.in,$(LIBDIR)/cmake/wsplug) > $(call to,$(LIBDIR))/cmake/wsplug/wsplug-config-version.cmake
	$(INSTALL) -d $(call to,$(DATADIR))/man/man1 $(call to,$(DATADIR))/doc/wsplug
	$(INSTALL) -m 644 $(MAN:%=$(PAGES)/%.1) $(call to,$(DATADIR))/man/man1
	$(INSTALL) -m 644 $(DOCUMENTS) $(call to,$(DATADIR))/doc/wsplug
	for file in $(FOLDERS); do $(INSTALL) -D -m 644 $$file $(call to,$(DATADIR))/doc/wsplug/$$file || exit 1; done
	$(INSTALL) -D -m 644 $(PAGES)/bash $(call to,$(DATADIR))/bash-completion/completions/wsplug
	$(INSTALL) -D -m 644 $(PAGES)/zsh $(call to,$(DATADIR))/zsh/site-functions/_wsplug
	$(INSTALL) -D -m 644 $(PAGES)/fish $(call to,$(DATADIR))/fish/vendor_completions.d/wsplug.fish

uninstall:
	rm -f $(call to,$(BINDIR))/wsplug $(call to,$(INCLUDEDIR))/wsplug.h
	rm -f $(call to,$(LIBDIR))/libwsplug.so $(call to,$(LIBDIR))/$(SONAME) $(call to,$(LIBDIR))/libwsplug.so.$(VERSION)
	rm -f $(call to,$(LIBDIR))/pkgconfig/wsplug.pc
	rm -rf $(call to,$(LIBDIR))/cmake/wsplug $(call to,$(DATADIR))/doc/wsplug
	rm -f $(MAN:%=$(call to,$(DATADIR))/man/man1/%.1)
	rm -f $(call to,$(DATADIR))/bash-completion/completions/wsplug $(call to,$(DATADIR))/zsh/site-functions/_wsplug
	rm -f $(call to,$(DATADIR))/fish/vendor_completions.d/wsplug.fish

.PHONY: all install uninstall
