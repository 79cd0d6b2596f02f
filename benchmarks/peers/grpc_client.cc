/* SPDX-License-Identifier: BSD-2-Clause */
/* gRPC clients of tern.bench.Echo: synchronous, by completion queue, and by callbacks. */
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>
#include <grpcpp/grpcpp.h>

#include "bench.grpc.pb.h"
#include "grpc.h"

using namespace tern::bench;

using stub_list = std::vector<std::unique_ptr<Echo::Stub>>;

/* A connection of its own for each channel: they would share one otherwise. */
static stub_list connect(const peer_options &options)
{
	std::string address = options.host + (":" + std::to_string(options.port));
	stub_list stubs;

	for (uint32_t i = 0; i < options.connections; i++) {
		grpc::ChannelArguments arguments;

		arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
		arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
		arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
		arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 4 << 20);
		arguments.SetInt(GRPC_ARG_HTTP2_MAX_FRAME_SIZE, 1 << 20);
		arguments.SetString(GRPC_ARG_OPTIMIZATION_TARGET,
				    options.outstanding > 1 ? "throughput" : "latency");
		auto channel =
			grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
		if (!channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(5)))
			peer_fail("connecting by gRPC");
		stubs.push_back(Echo::NewStub(channel));
	}
	return stubs;
}

/* What is asked: the same messages as Tern's. */
struct question {
	bool sized;
	Payload echo;
	SizedRequest request;

	explicit question(const peer_options &options) : sized(options.size != options.reply_size)
	{
		echo.set_data(std::string(options.size, 'x'));
		echo.set_sequence(1);
		if (!sized)
			return;
		*request.mutable_payload() = echo;
		request.set_reply_length(options.reply_size);
	}
};

static void must_be_good(const peer_options &options, const grpc::Status &status, const Payload &reply)
{
	if (status.ok() && reply.data().size() == options.reply_size)
		return;
	fprintf(stderr, "grpc: status %d, %s, %zu bytes\n", status.error_code(),
		status.error_message().c_str(), reply.data().size());
	std::_Exit(EXIT_FAILURE);
}

/* ---- synchronous: a thread for each call that is outstanding ---- */

static void call_until_end(const peer_options &options, const question &question, Echo::Stub *stub,
			   peer_measure *measure)
{
	for (uint64_t start = peer_now_ns(); start < measure->end_ns; start = peer_now_ns()) {
		grpc::ClientContext context;
		Payload reply;
		grpc::Status status = question.sized ? stub->Sized(&context, question.request, &reply)
						     : stub->Echo(&context, question.echo, &reply);

		must_be_good(options, status, reply);
		peer_measure_note(measure, start, peer_now_ns());
	}
}

static void load_sync(const peer_options &options, const question &question, const stub_list &stubs,
		      peer_measure *measure)
{
	std::vector<peer_measure> parts(options.outstanding, *measure);
	std::vector<std::thread> threads;

	for (uint32_t i = 1; i < options.outstanding; i++)
		threads.emplace_back(call_until_end, std::cref(options), std::cref(question),
				     stubs[i % stubs.size()].get(), &parts[i]);
	call_until_end(options, question, stubs[0].get(), &parts[0]);
	for (auto &thread : threads)
		thread.join();
	for (const auto &part : parts) {
		measure->completed += part.completed;
		measure->latency.count += part.latency.count;
		for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
			measure->latency.buckets[i] += part.latency.buckets[i];
		if (part.latency.max_ns > measure->latency.max_ns)
			measure->latency.max_ns = part.latency.max_ns;
	}
}

/* ---- by completion queue ---- */

struct async_call {
	std::unique_ptr<grpc::ClientContext> context;
	std::unique_ptr<grpc::ClientAsyncResponseReader<Payload>> reader;
	Payload reply;
	grpc::Status status;
	Echo::Stub *stub;
	uint64_t start_ns;
};

static void begin(const question &question, grpc::CompletionQueue *queue, async_call *call)
{
	call->start_ns = peer_now_ns();
	call->context = std::make_unique<grpc::ClientContext>();
	call->reader = question.sized ? call->stub->AsyncSized(call->context.get(), question.request, queue)
				      : call->stub->AsyncEcho(call->context.get(), question.echo, queue);
	call->reader->Finish(&call->reply, &call->status, call);
}

static void load_async(const peer_options &options, const question &question, const stub_list &stubs,
		       peer_measure *measure)
{
	std::vector<async_call> calls(options.outstanding);
	grpc::CompletionQueue queue;
	uint32_t running = options.outstanding;
	void *tag;
	bool ok;

	for (auto &call : calls) {
		call.stub = stubs[(size_t)(&call - calls.data()) % stubs.size()].get();
		begin(question, &queue, &call);
	}
	while (running) {
		auto until =
			options.spin ? gpr_time_0(GPR_CLOCK_MONOTONIC) : gpr_inf_future(GPR_CLOCK_MONOTONIC);

		if (queue.AsyncNext(&tag, &ok, until) != grpc::CompletionQueue::GOT_EVENT)
			continue;
		async_call *call = static_cast<async_call *>(tag);
		uint64_t now = peer_now_ns();
		must_be_good(options, call->status, call->reply);
		peer_measure_note(measure, call->start_ns, now);
		if (now < measure->end_ns)
			begin(question, &queue, call);
		else
			running--;
	}
}

/* ---- by callbacks, on gRPC's own threads ---- */

struct callback_load {
	const peer_options &options;
	const question &ask;
	peer_measure *measure;
	std::mutex mutex; /* of the measure, and of `running` */
	std::condition_variable ended;
	uint32_t running;
};

struct callback_call {
	callback_load *load;
	Echo::Stub *stub;
	std::unique_ptr<grpc::ClientContext> context;
	Payload reply;
	uint64_t start_ns;

	void begin()
	{
		auto done = [this](grpc::Status status) { finish(status); };

		start_ns = peer_now_ns();
		context = std::make_unique<grpc::ClientContext>();
		if (load->ask.sized)
			stub->async()->Sized(context.get(), &load->ask.request, &reply, done);
		else
			stub->async()->Echo(context.get(), &load->ask.echo, &reply, done);
	}

	void finish(const grpc::Status &status)
	{
		uint64_t now = peer_now_ns();

		must_be_good(load->options, status, reply);
		{
			std::lock_guard<std::mutex> lock(load->mutex);

			peer_measure_note(load->measure, start_ns, now);
			if (now >= load->measure->end_ns) {
				if (!--load->running)
					load->ended.notify_one();
				return;
			}
		}
		begin();
	}
};

static void load_callback(const peer_options &options, const question &question, const stub_list &stubs,
			  peer_measure *measure)
{
	callback_load load{ options, question, measure, {}, {}, options.outstanding };
	std::vector<callback_call> calls(options.outstanding);

	for (auto &call : calls) {
		call.load = &load;
		call.stub = stubs[(size_t)(&call - calls.data()) % stubs.size()].get();
		call.begin();
	}
	std::unique_lock<std::mutex> lock(load.mutex);
	load.ended.wait(lock, [&load] { return !load.running; });
}

void grpc_load(grpc_kind kind, const peer_options &options, peer_measure *measure)
{
	static void (*const loads[])(const peer_options &, const question &, const stub_list &,
				     peer_measure *) = { load_sync, load_async, load_callback };
	question question(options);
	stub_list stubs = connect(options);

	peer_measure_start(measure, &options);
	loads[(int)kind](options, question, stubs, measure);
}
