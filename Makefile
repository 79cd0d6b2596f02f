# Tern. `make demo` and `make test` do all their own set-up; `make help` lists the rest.
#
# Every .c file of rpc/ and transport/ goes into libtern, every .bpf.c of bpf/ becomes a
# skeleton header, every tests/unit/*_test.c a program: adding a file needs no change here.

BUILD    ?= build
CC       := $(if $(filter default,$(origin CC)),gcc,$(CC))
CLANG    ?= clang
BPFTOOL  ?= $(firstword $(wildcard /usr/sbin/bpftool /usr/local/sbin/bpftool) bpftool)
PREFIX   ?= /usr/local
WIRESHARK ?= $(PREFIX)/lib/$(shell uname -m)-linux-gnu/wireshark/plugins
OPT      ?= -O2
SANITIZE ?=
V        ?= 0
Q        := $(if $(filter 0,$(V)),@)
say       = $(if $(filter 0,$(V)),@printf '  %-8s %s\n' $(1) $(patsubst $(BUILD)/%,%,$@))

PACKAGES := gcc g++ make clang llvm pkg-config bpftool libbpf-dev libxdp-dev libelf-dev zlib1g-dev libevent-dev \
	libpcap-dev libprotobuf-c-dev protobuf-c-compiler protobuf-compiler libprotobuf-dev libprotoc-dev iproute2 iputils-ping
TEST_PACKAGES := libclang-rt-14-dev tshark ethtool netcat-openbsd

FIGURE_PACKAGES := gnuplot-nox
BENCH_PACKAGES := ethtool libgrpc++-dev protobuf-compiler-grpc $(FIGURE_PACKAGES)

VERSION  := $(shell sed -n 's/^\#define TERN_VERSION "\(.*\)"/\1/p' rpc/tern.h)
WARN     := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith
CPPFLAGS := -D_GNU_SOURCE -Irpc -Itransport -Ibpf -I$(BUILD)/include -I$(BUILD)/bpf
CFLAGS   := -std=gnu11 $(OPT) -g -fPIC $(WARN) $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer)
LDLIBS   := -lxdp -lbpf -lelf -lz -lprotobuf-c -levent -lpthread -lm
GENFLAGS := -std=gnu11 $(OPT) -g -fPIC $(if $(SANITIZE),-fsanitize=$(SANITIZE))

BPF_OBJ  := $(patsubst bpf/%.bpf.c,$(BUILD)/bpf/%.bpf.o,$(wildcard bpf/*.bpf.c))
SKELS    := $(BPF_OBJ:.bpf.o=.skel.h)
LIB_OBJ  := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard rpc/*.c transport/*.c))
CORE     := $(filter-out %/homa_transport.c,$(wildcard transport/homa*.c)) $(addprefix transport/,heap.c ranges.c timer.c)
LIB      := $(BUILD)/libtern.a
WKT      := any api descriptor duration empty field_mask source_context struct timestamp type wrappers
WKT_OBJ  := $(WKT:%=$(BUILD)/obj/google/%.o)
PLUGIN   := $(BUILD)/protoc-gen-tern

UNIT     := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/*_test.c))
BPF_TEST := $(patsubst tests/bpf/%.c,$(BUILD)/tests/%,$(wildcard tests/bpf/*_test.c))
NET_TEST := $(patsubst tests/network/%.c,$(BUILD)/tests/%,$(wildcard tests/network/*.c))
FUZZ     := $(patsubst tests/fuzz/%.c,$(BUILD)/tests/%,$(wildcard tests/fuzz/*_fuzz.c))
SIM_OBJ  := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/simulator/*.c))
EXAMPLES := $(patsubst examples/%.c,$(BUILD)/examples/%,$(wildcard examples/*_server.c examples/*_client.c))
TOOLS    := $(BUILD)/tern-load $(BUILD)/homa-replay $(BUILD)/tern-sim

ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc)
endif
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all demo test check install packages test-packages figure-packages sim-figures run-demo run-test run-check clean help
.PHONY: bench bench-quick bench-packages run-bench run-bench-quick

all: $(LIB) $(BUILD)/libtern.so.0 $(PLUGIN) $(EXAMPLES) $(TOOLS)

help:
	@echo 'make demo     two network namespaces, a service under load over Homa, a table'
	@echo 'make test     everything that CI runs;  make check  the fast part of it (3 minutes)'
	@echo 'make bench    Tern beside its rivals, one table (15 minutes);  make bench-quick  a coarse one (2 minutes)'
	@echo 'make sim-figures  the slowdown of W1-W5 on 144 hosts, drawn into docs/figures (minutes)'
	@echo 'make install  DESTDIR= PREFIX=$(PREFIX);  make clean;  V=1 shows the commands'

# ---- the two commands ----
demo: packages
	$(Q)$(MAKE) --no-print-directory run-demo
test: packages test-packages
	$(Q)$(MAKE) --no-print-directory run-test
check: packages test-packages
	$(Q)$(MAKE) --no-print-directory run-check
bench bench-quick: packages bench-packages
	$(Q)$(MAKE) --no-print-directory run-$@
run-bench: bench-built
	$(Q)BUILD=$(BUILD) benchmarks/bench.sh full
run-bench-quick: bench-built
	$(Q)BUILD=$(BUILD) benchmarks/bench.sh quick
run-demo: all
	$(Q)BUILD=$(BUILD) examples/demo.sh
run-test: all tests-built
	$(Q)BUILD=$(BUILD) tests/run 1
run-check: all tests-built
	$(Q)BUILD=$(BUILD) tests/run 0

# Installs what is missing, by Debian's package manager; says what to install elsewhere.
install-missing = missing=$$(dpkg-query -W -f '$${Package} $${db:Status-Abbrev}\n' $(1) 2>/dev/null | \
	awk '$$2 == "ii" {print $$1}' | sort -u | comm -13 - <(printf '%s\n' $(1) | sort -u)); \
	[ -z "$$missing" ] && exit 0; echo "installing:" $$missing; \
	[ "$$(id -u)" = 0 ] || sudo=sudo; \
	{ $$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends $$missing; } \
	>/tmp/tern-packages.log 2>&1 || { tail -5 /tmp/tern-packages.log; echo "could not install:" $$missing; exit 1; }
packages test-packages figure-packages bench-packages: SHELL := /bin/bash
packages:
	@$(call install-missing,$(PACKAGES))
test-packages: packages
	@$(call install-missing,$(TEST_PACKAGES))
figure-packages:
	@$(call install-missing,$(FIGURE_PACKAGES))
bench-packages: packages
	@$(call install-missing,$(BENCH_PACKAGES))

sim-figures: figure-packages $(BUILD)/tern-sim
	$(Q)BUILD=$(BUILD) tests/simulator/figures.sh docs/figures

# ---- library ----
$(BUILD)/obj/%.o: %.c | $(SKELS) $(BUILD)/include/tern.h
	$(call say,CC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
$(LIB): $(LIB_OBJ) $(WKT_OBJ)
	$(call say,AR)
	$(Q)rm -f $@ && ar rcs $@ $^
$(BUILD)/libtern.so.0: $(LIB_OBJ) $(WKT_OBJ)
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) -shared -Wl,-soname,libtern.so.0 -o $@ $^ $(LDLIBS)
	$(Q)ln -sf libtern.so.0 $(BUILD)/libtern.so
$(BUILD)/include/tern.h: rpc/tern.h
	@mkdir -p $(@D) && cp $< $@

# Google's well-known types, which Debian's protobuf-c does not ship in compiled form.
$(BUILD)/include/google/protobuf/%.pb-c.c: /usr/include/google/protobuf/%.proto
	@mkdir -p $(BUILD)/include
	$(Q)protoc --plugin=protoc-gen-c=$(shell command -v protoc-gen-c) --c_out=$(BUILD)/include -I/usr/include google/protobuf/$*.proto
$(WKT_OBJ): $(BUILD)/obj/google/%.o: $(BUILD)/include/google/protobuf/%.pb-c.c | $(WKT:%=$(BUILD)/include/google/protobuf/%.pb-c.c)
	@mkdir -p $(@D)
	$(Q)$(CC) $(GENFLAGS) -I$(BUILD)/include -c -o $@ $<

# ---- BPF ----
$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h transport/wire.h transport/homa_core.h transport/net_ip.h transport/net_headers.h)
	$(call say,BPF)
	@mkdir -p $(@D)
	$(Q)$(CLANG) -O2 -g -Wall -Wextra -Werror -target bpf -mcpu=v3 -I/usr/include/$(shell uname -m)-linux-gnu -Itransport -Ibpf -c -o $@ $<
	$(Q)llvm-strip -g $@
$(BUILD)/bpf/%.skel.h: $(BUILD)/bpf/%.bpf.o
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf > $@

# ---- code generator ----
$(BUILD)/plugin/google/protobuf/%.pb-c.c: /usr/include/google/protobuf/%.proto
	@mkdir -p $(BUILD)/plugin
	$(Q)protoc --plugin=protoc-gen-c=$(shell command -v protoc-gen-c) --c_out=$(BUILD)/plugin -I/usr/include google/protobuf/$*.proto
PLUGIN_GEN := $(BUILD)/plugin/google/protobuf/descriptor.pb-c.c $(BUILD)/plugin/google/protobuf/compiler/plugin.pb-c.c
$(PLUGIN): $(wildcard codegen/*.c codegen/*.h idl/tern/*.proto) rpc/tern.h $(PLUGIN_GEN)
	$(call say,CC)
	$(Q)$(CC) -D_GNU_SOURCE -Icodegen -Irpc -I$(BUILD)/plugin $(CFLAGS) -o $@ $(filter %.c,$^) -lprotobuf-c

# x.proto -> x.pb-c.[ch] and x.tern.[ch], beside each other under build/gen.
define generate # directory
$$(BUILD)/gen/%.tern.c $$(BUILD)/gen/%.tern.h $$(BUILD)/gen/%.pb-c.c $$(BUILD)/gen/%.pb-c.h &: $(1)/%.proto $$(PLUGIN)
	$$(call say,PROTO)
	@mkdir -p $$(BUILD)/gen
	$$(Q)protoc --plugin=$$(PLUGIN) --tern_out=$$(BUILD)/gen -I$(1) -Iidl $$<
endef
$(foreach d,examples benchmarks tests/proto,$(eval $(call generate,$(d))))
proto-headers = $(foreach p,$(1),$(BUILD)/gen/$(p).tern.h)
# A .proto may import any other, and the well-known types.
PROTO_HEADERS := $(call proto-headers,$(basename $(notdir $(wildcard examples/*.proto benchmarks/*.proto tests/proto/*.proto))))
$(BUILD)/obj/gen/%.o: $(BUILD)/gen/%.c $(BUILD)/include/tern.h | $(PROTO_HEADERS) $(WKT:%=$(BUILD)/include/google/protobuf/%.pb-c.c)
	@mkdir -p $(@D)
	$(Q)$(CC) -I$(BUILD)/gen -I$(BUILD)/include $(GENFLAGS) -Wall -Wextra -Werror -c -o $@ $<
proto-objects = $(foreach p,$(1),$(BUILD)/obj/gen/$(p).pb-c.o $(BUILD)/obj/gen/$(p).tern.o)

# ---- programs ----
link = $(Q)$(CC) $(CPPFLAGS) -I$(BUILD)/gen $(CFLAGS) -MMD -MP -MF $(BUILD)/$(notdir $@).d -o $@ $(filter %.c %.o,$^) $(LIB) $(LDLIBS)

define example # name, proto
$$(BUILD)/examples/$(1): examples/$(1).c $$(call proto-objects,$(2)) $$(LIB) | $$(call proto-headers,$(2))
	$$(call say,EXAMPLE)
	@mkdir -p $$(@D)
	$$(link)
endef
$(foreach e,$(notdir $(EXAMPLES)),$(eval $(call example,$(e),$(word 1,$(subst _, ,$(e))))))

$(BUILD)/tern-load: $(wildcard benchmarks/load*.c) $(call proto-objects,bench) $(LIB) | $(call proto-headers,bench)
	$(call say,LD)
	$(link)
$(BUILD)/homa-replay: $(wildcard tests/interop/replay*.c) $(LIB)
	$(call say,LD)
	$(link) -lpcap
$(BUILD)/tern-sim: $(SIM_OBJ) $(LIB)
	$(call say,LD)
	$(link)

# ---- tests ----
tests-built: $(UNIT) $(BPF_TEST) $(NET_TEST) $(FUZZ) $(BUILD)/ping-pong $(BUILD)/peers/bare $(BUILD)/peers/sockets
.PHONY: tests-built
PROTO_TEST := $(basename $(notdir $(wildcard tests/proto/*.proto)))
$(UNIT): $(BUILD)/tests/%: tests/unit/%.c $(filter-out %/main.o,$(SIM_OBJ)) $(call proto-objects,$(PROTO_TEST)) $(LIB) | $(call proto-headers,$(PROTO_TEST))
	$(call say,TEST)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -Itests -Itests/simulator -I$(BUILD)/gen $(CFLAGS) -MMD -MP -MF $(BUILD)/$(notdir $@).d -o $@ $< $(filter %.o,$^) $(LIB) $(LDLIBS)
# Its malloc fails when told to.
$(BUILD)/tests/allocation_test: LDLIBS += -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free
$(BPF_TEST): $(BUILD)/tests/%: tests/bpf/%.c
$(NET_TEST): $(BUILD)/tests/%: tests/network/%.c
$(BPF_TEST) $(NET_TEST): $(LIB)
	$(call say,TEST)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -Itests $(CFLAGS) -MMD -MP -MF $(BUILD)/$(notdir $@).d -o $@ $(filter %.c,$^) $(LIB) $(LDLIBS)
# A fuzzer is built from the core's sources, so that the coverage it steers by is the core's.
$(FUZZ): $(BUILD)/tests/%: tests/fuzz/%.c $(CORE) $(wildcard transport/*.h bpf/*.h)
	$(call say,FUZZ)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(CPPFLAGS) -Itests -Ibpf -std=gnu11 -O1 -g $(WARN) -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -o $@ $(filter %.c,$^)
$(BUILD)/ping-pong: $(wildcard benchmarks/ping_pong*.c) $(LIB)
	$(call say,LD)
	$(link)

# ---- benchmarks: Tern's rivals ----
bench-built: $(BUILD)/tern-load $(BUILD)/ping-pong $(addprefix $(BUILD)/peers/,bare sockets grpc)
.PHONY: bench-built
PEER_C := benchmarks/peers/peer.c $(wildcard benchmarks/peers/*.h) benchmarks/load_histogram.h
$(BUILD)/peers/bare: $(wildcard benchmarks/bare*.[ch]) $(PEER_C) $(LIB)
$(BUILD)/peers/sockets: $(addprefix benchmarks/peers/,sockets.c udp.c tcp.c libevent.c) $(PEER_C) $(LIB)
$(BUILD)/peers/bare $(BUILD)/peers/sockets:
	$(call say,LD)
	@mkdir -p $(@D)
	$(link)
# The same service as tern-load's, without what only Tern's generator reads.
$(BUILD)/peers/gen/bench.pb.cc $(BUILD)/peers/gen/bench.grpc.pb.cc &: benchmarks/bench.proto
	$(call say,PROTO)
	@mkdir -p $(@D)
	$(Q)sed -e '/options\.proto/d' -e '/(tern\.method)/d' $< > $(@D)/bench.proto
	$(Q)protoc --plugin=protoc-gen-grpc=$(shell command -v grpc_cpp_plugin) --cpp_out=$(@D) --grpc_out=$(@D) -I$(@D) bench.proto
GRPC_OBJ := $(addprefix $(BUILD)/peers/obj/,grpc.o grpc_server.o grpc_client.o bench.pb.o bench.grpc.pb.o)
$(GRPC_OBJ): $(BUILD)/peers/obj/%.o: %.cc $(PEER_C) $(BUILD)/peers/gen/bench.pb.cc
	$(call say,CXX)
	@mkdir -p $(@D)
	$(Q)g++ -std=gnu++17 $(OPT) -g -Wall -Wextra -Werror -I$(BUILD)/peers/gen -c -o $@ $<
vpath %.cc benchmarks/peers $(BUILD)/peers/gen
$(BUILD)/peers/grpc: $(GRPC_OBJ) $(BUILD)/obj/benchmarks/peers/peer.o
	$(call say,LD)
	$(Q)g++ -o $@ $^ $(shell pkg-config --libs grpc++ protobuf 2>/dev/null) -lpthread

install: all
	install -d $(DESTDIR)$(PREFIX)/include/tern $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/bin
	install -m644 rpc/tern.h $(DESTDIR)$(PREFIX)/include/tern
	cd $(BUILD)/include && find google -name '*.pb-c.h' -exec install -Dm644 {} $(abspath $(DESTDIR)$(PREFIX))/include/tern/{} \;
	install -m644 $(LIB) $(DESTDIR)$(PREFIX)/lib
	install -m755 $(BUILD)/libtern.so.0 $(DESTDIR)$(PREFIX)/lib
	ln -sf libtern.so.0 $(DESTDIR)$(PREFIX)/lib/libtern.so
	sed -e 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|' rpc/tern.pc.in > $(DESTDIR)$(PREFIX)/lib/pkgconfig/tern.pc
	install -m755 $(PLUGIN) $(BUILD)/tern-load $(DESTDIR)$(PREFIX)/bin
	cp -r idl/. $(DESTDIR)$(PREFIX)/include
	install -d $(DESTDIR)$(WIRESHARK)
	install -m644 transport/wireshark/*.lua $(DESTDIR)$(WIRESHARK)

clean:
	rm -rf $(BUILD)

-include $(LIB_OBJ:.o=.d) $(SIM_OBJ:.o=.d) $(wildcard $(BUILD)/*.d)
