/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calls demo.kv.KV:
 *
 *	kv_client homa://10.0.0.2:4001 put colour blue
 *	kv_client homa://10.0.0.2:4001 get colour
 *	kv_client homa://10.0.0.2:4001 delete colour
 *
 * Exits with 0, or with 1 when there is no such key or no such server.
 */
#include <stdio.h>
#include <string.h>

#include "kv.tern.h"

static enum tern_status get(struct tern_channel *channel, char *key, struct tern_result *result)
{
	Demo__Kv__GetRequest request = DEMO__KV__GET_REQUEST__INIT;
	Demo__Kv__GetReply *reply;

	request.key = key;
	if (demo__kv__kv__get__call(channel, NULL, &request, &reply, result) != TERN_OK)
		return result->status;
	printf("%.*s\n", (int)reply->value.len, (const char *)reply->value.data);
	demo__kv__get_reply__free_unpacked(reply, NULL);
	return TERN_OK;
}

static enum tern_status put(struct tern_channel *channel, char *key, char *value, struct tern_result *result)
{
	Demo__Kv__PutRequest request = DEMO__KV__PUT_REQUEST__INIT;
	Demo__Kv__PutReply *reply;

	request.key = key;
	request.value.data = (uint8_t *)value;
	request.value.len = strlen(value);
	if (demo__kv__kv__put__call(channel, NULL, &request, &reply, result) == TERN_OK)
		demo__kv__put_reply__free_unpacked(reply, NULL);
	return result->status;
}

static enum tern_status delete_key(struct tern_channel *channel, char *key, struct tern_result *result)
{
	Demo__Kv__DeleteRequest request = DEMO__KV__DELETE_REQUEST__INIT;
	Demo__Kv__DeleteReply *reply;

	request.key = key;
	if (demo__kv__kv__delete__call(channel, NULL, &request, &reply, result) == TERN_OK)
		demo__kv__delete_reply__free_unpacked(reply, NULL);
	return result->status;
}

static int run(struct tern_channel *channel, char **argv, bool with_value)
{
	struct tern_result result;

	if (with_value)
		put(channel, argv[3], argv[4], &result);
	else if (!strcmp(argv[2], "get"))
		get(channel, argv[3], &result);
	else
		delete_key(channel, argv[3], &result);
	if (result.status != TERN_OK)
		fprintf(stderr, "kv_client: %s: %s\n", tern_status_name(result.status), result.message);
	return result.status != TERN_OK;
}

int main(int argc, char **argv)
{
	bool with_value = argc == 5 && !strcmp(argv[2], "put");
	struct tern_endpoint *endpoint;
	struct tern_channel *channel;
	int code = 1, err;

	if (!with_value && (argc != 4 || (strcmp(argv[2], "get") && strcmp(argv[2], "delete")))) {
		fprintf(stderr, "usage: kv_client homa://HOST:PORT put KEY VALUE | get KEY | delete KEY\n");
		return 2;
	}
	err = tern_endpoint_create(NULL, &endpoint);
	if (!err) {
		err = tern_channel_create(endpoint, argv[1], NULL, &channel);
		if (!err)
			code = run(channel, argv, with_value);
		tern_endpoint_destroy(endpoint); /* with its channel */
	}
	if (err)
		fprintf(stderr, "kv_client: %s: %s\n", argv[1], strerror(-err));
	return code;
}
