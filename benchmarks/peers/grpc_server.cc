/* SPDX-License-Identifier: BSD-2-Clause */
/* gRPC servers of tern.bench.Echo: synchronous, by completion queue, and by callbacks. */
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>
#include <grpcpp/grpcpp.h>

#include "bench.grpc.pb.h"
#include "grpc.h"

using namespace tern::bench;

/* Requests that the asynchronous server is ready to be given, of each method. */
static const int slots = 256;

static void answer(const Payload &request, Payload *reply)
{
	reply->set_data(request.data());
	reply->set_sequence(request.sequence());
}

static void answer(const SizedRequest &request, Payload *reply)
{
	reply->mutable_data()->resize(request.reply_length());
	reply->set_sequence(request.payload().sequence());
}

class sync_service : public Echo::Service
{
	grpc::Status Echo(grpc::ServerContext *, const Payload *request, Payload *reply) override
	{
		answer(*request, reply);
		return grpc::Status::OK;
	}
	grpc::Status Sized(grpc::ServerContext *, const SizedRequest *request, Payload *reply) override
	{
		answer(*request, reply);
		return grpc::Status::OK;
	}
};

class callback_service : public Echo::CallbackService
{
	template <typename request_type>
	static grpc::ServerUnaryReactor *finish(grpc::CallbackServerContext *context,
						const request_type *request, Payload *reply)
	{
		grpc::ServerUnaryReactor *reactor = context->DefaultReactor();

		answer(*request, reply);
		reactor->Finish(grpc::Status::OK);
		return reactor;
	}
	grpc::ServerUnaryReactor *Echo(grpc::CallbackServerContext *context, const Payload *request,
				       Payload *reply) override
	{
		return finish(context, request, reply);
	}
	grpc::ServerUnaryReactor *Sized(grpc::CallbackServerContext *context, const SizedRequest *request,
					Payload *reply) override
	{
		return finish(context, request, reply);
	}
};

/* One call after another, each object ready for the next when it has answered one. */
class slot_base
{
      public:
	virtual ~slot_base() = default;
	virtual void proceed(bool ok) = 0;
};

template <typename request_type> class slot : public slot_base
{
      public:
	using accept_method = void (Echo::AsyncService::*)(grpc::ServerContext *, request_type *,
							   grpc::ServerAsyncResponseWriter<Payload> *,
							   grpc::CompletionQueue *,
							   grpc::ServerCompletionQueue *, void *);

	slot(Echo::AsyncService *service, grpc::ServerCompletionQueue *queue, accept_method accept)
	    : service(service), queue(queue), accept(accept)
	{
		await();
	}

	void proceed(bool ok) override
	{
		if (answered || !ok) {
			await();
			return;
		}
		Payload reply;
		answer(call->request, &reply);
		answered = true;
		call->writer.Finish(reply, grpc::Status::OK, this);
	}

      private:
	struct call_state {
		grpc::ServerContext context;
		request_type request;
		grpc::ServerAsyncResponseWriter<Payload> writer{ &context };
	};

	void await()
	{
		answered = false;
		call = std::make_unique<call_state>();
		(service->*accept)(&call->context, &call->request, &call->writer, queue, queue, this);
	}

	Echo::AsyncService *service;
	grpc::ServerCompletionQueue *queue;
	accept_method accept;
	bool answered = false;
	std::unique_ptr<call_state> call;
};

/* No probing of the bandwidth, frames as large as a message: what helps on a network this short. */
static void configure(grpc::ServerBuilder *builder, const peer_options &options)
{
	builder->AddListeningPort("0.0.0.0:" + std::to_string(options.port),
				  grpc::InsecureServerCredentials());
	builder->AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
	builder->AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 4 << 20);
	builder->AddChannelArgument(GRPC_ARG_HTTP2_MAX_FRAME_SIZE, 1 << 20);
	builder->AddChannelArgument(GRPC_ARG_OPTIMIZATION_TARGET,
				    options.outstanding > 1 ? "throughput" : "latency");
	builder->SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
	builder->SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
	builder->SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 2);
}

static std::unique_ptr<grpc::Server> start(grpc::ServerBuilder *builder, const peer_options &options)
{
	std::unique_ptr<grpc::Server> server = builder->BuildAndStart();

	if (!server)
		peer_fail("starting the gRPC server");
	peer_say_serving(&options);
	return server;
}

static void serve_async(grpc::ServerBuilder *builder, const peer_options &options)
{
	Echo::AsyncService service;
	bool ok;
	void *tag;

	builder->RegisterService(&service);
	std::unique_ptr<grpc::ServerCompletionQueue> queue = builder->AddCompletionQueue();
	std::unique_ptr<grpc::Server> server = start(builder, options);
	std::vector<std::unique_ptr<slot_base>> ready;
	for (int i = 0; i < slots; i++) {
		ready.push_back(std::make_unique<slot<Payload>>(&service, queue.get(),
								&Echo::AsyncService::RequestEcho));
		ready.push_back(std::make_unique<slot<SizedRequest>>(&service, queue.get(),
								     &Echo::AsyncService::RequestSized));
	}
	for (;;) {
		auto until =
			options.spin ? gpr_time_0(GPR_CLOCK_MONOTONIC) : gpr_inf_future(GPR_CLOCK_MONOTONIC);

		if (queue->AsyncNext(&tag, &ok, until) == grpc::CompletionQueue::GOT_EVENT)
			static_cast<slot_base *>(tag)->proceed(ok);
	}
}

void grpc_serve(grpc_kind kind, const peer_options &options)
{
	grpc::ServerBuilder builder;
	callback_service callbacks;
	sync_service plain;

	configure(&builder, options);
	if (kind == grpc_kind::async) {
		serve_async(&builder, options);
		return;
	}
	builder.RegisterService(kind == grpc_kind::sync ? static_cast<grpc::Service *>(&plain) : &callbacks);
	start(&builder, options)->Wait();
}
