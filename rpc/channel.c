/* SPDX-License-Identifier: BSD-2-Clause */
/* Channels: addresses that an endpoint calls. */
#include <errno.h>
#include <stdlib.h>

#include "channel.h"
#include "client.h"
#include "drive.h"
#include "options.h"

static int set_options(struct tern_channel *channel, const struct tern_channel_options *from)
{
	struct tern_channel_options *options = &channel->options;
	int rc = options_copy(options, sizeof(*options), from);

	if (rc < 0) {
		endpoint_log(
			channel->endpoint, TERN_LOG_ERROR,
			"channel options: sz is not the struct's size, or a newer version's option is set");
		return rc;
	}
	if (options->timeout_us == 0)
		options->timeout_us = CHANNEL_TIMEOUT_US_DEFAULT;
	if (options->max_outstanding == 0)
		options->max_outstanding = CHANNEL_OUTSTANDING_DEFAULT;
	return 0;
}

/* The endpoint is held. */
static int connect_channel(struct tern_channel *channel, const struct address *address)
{
	struct tern_endpoint *endpoint = channel->endpoint;
	int rc = endpoint_transport_for(endpoint, address, &channel->slot);

	if (rc < 0)
		return rc;
	rc = channel->slot->ops->connect(channel->slot->transport, &address->endpoint, &channel->peer);
	if (rc < 0)
		return rc;
	channel->next = endpoint->channels;
	endpoint->channels = channel;
	return 0;
}

int tern_channel_create(struct tern_endpoint *endpoint, const char *address_text,
			const struct tern_channel_options *options, struct tern_channel **channel)
{
	struct tern_channel *made;
	char error[NAMES_ERROR_MAX];
	struct address address;
	enum drive_entry entry;
	int rc = address_parse(address_text, &address, error);

	if (rc < 0) {
		endpoint_log(endpoint, TERN_LOG_ERROR, "%s", error);
		return rc;
	}
	made = calloc(1, sizeof(*made));
	if (!made)
		return -ENOMEM;
	made->endpoint = endpoint;
	address_print(&address.endpoint, made->address);
	rc = set_options(made, options);
	if (rc < 0)
		goto free_channel;
	entry = drive_lock(endpoint);
	rc = connect_channel(made, &address);
	drive_leave(endpoint, entry);
	if (rc < 0)
		goto free_channel;
	*channel = made;
	return 0;

free_channel:
	free(made);
	return rc;
}

static void unlink_channel(struct tern_channel *channel)
{
	struct tern_channel **link = &channel->endpoint->channels;

	while (*link != channel)
		link = &(*link)->next;
	*link = channel->next;
}

void channel_close(struct tern_channel *channel)
{
	struct tern_endpoint *endpoint = channel->endpoint;
	struct tern_call *call;

	channel->closing = true;
	/* Calls that other threads have started are still in the queue. */
	drive_drain(endpoint);
	for (uint32_t i = 0; (call = call_pool_at(endpoint->calls, i)); i++)
		client_shut_down(call, channel);
	unlink_channel(channel);
	channel->slot->ops->disconnect(channel->slot->transport, channel->peer);
	free(channel);
}

void tern_channel_destroy(struct tern_channel *channel)
{
	struct tern_endpoint *endpoint;
	enum drive_entry entry;

	if (!channel)
		return;
	endpoint = channel->endpoint;
	if (drive_is_nested(endpoint)) {
		endpoint_log(endpoint, TERN_LOG_ERROR,
			     "tern_channel_destroy was called from inside a callback");
		return;
	}
	entry = drive_lock(endpoint);
	channel_close(channel);
	drive_leave(endpoint, entry);
}
