/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every identifier that will be generated is listed with what it comes from; equal
 * neighbours in the sorted list are clashes.
 */
#include "clash.h"

#include <stdlib.h>
#include <string.h>

#define PER_TYPE    2
#define PER_SERVICE 4
#define PER_METHOD  6

struct identifier {
	const char *name;
	const char *kind;
	const char *proto_name;
	const struct file *file;
	const struct path *path;
	uint64_t hash; /* of a method; 0 */
	size_t order;  /* in the files: the later one is reported */
};

struct list {
	size_t count;
	struct identifier *items;
};

static void add(struct list *list, const char *name, const char *end, struct identifier from)
{
	from.name = memory_printf("%s%s", name, end);
	from.order = list->count;
	list->items[list->count++] = from;
}

static void add_type(struct list *list, const struct type *type)
{
	struct identifier from = {.kind = type->message ? "message" : "enum", .proto_name = type->full_name,
				  .file = type->file, .path = &type->path};

	add(list, type->c_type, "", from);
	add(list, type->c_lower, "__descriptor", from);
}

static void add_method(struct list *list, const struct file *file, const struct service *service,
		       const struct method *method, bool stubs)
{
	struct identifier from = {.kind = "method", .proto_name = method->rpc_name, .file = file,
				  .path = &method->path, .hash = method->hash};

	add(list, memory_printf("%s__Server.", service->c_type), method->c_member, from);
	add(list, method->c_type, "__Done", from);
	add(list, method->c_lower, "__call", from);
	add(list, method->c_lower, "__start", from);
	add(list, method->c_lower, "__reply", from);
	if (stubs)
		add(list, method->c_lower, "", from);
}

static void add_service(struct list *list, const struct file *file, const struct service *service, bool stubs)
{
	struct identifier from = {.kind = "service", .proto_name = service->full_name, .file = file,
				  .path = &service->path};

	add(list, service->c_type, "__Server", from);
	add(list, service->c_lower, "__service", from);
	add(list, service->c_lower, "__methods", from);
	add(list, service->c_lower, "__register", from);
	for (size_t i = 0; i < service->method_count; i++)
		add_method(list, file, service, &service->methods[i], stubs);
}

static int compare_order(const struct identifier *a, const struct identifier *b)
{
	return a->order < b->order ? -1 : a->order > b->order;
}

static int compare_names(const void *left, const void *right)
{
	const struct identifier *a = left, *b = right;
	int order = strcmp(a->name, b->name);

	return order ? order : compare_order(a, b);
}

static int compare_hashes(const void *left, const void *right)
{
	const struct identifier *a = left, *b = right;

	return a->hash != b->hash ? (a->hash < b->hash ? -1 : 1) : compare_order(a, b);
}

static int compare_pairs(const void *left, const void *right)
{
	const struct identifier *const *a = left, *const *b = right;

	return compare_order(a[1], b[1]) ? compare_order(a[1], b[1]) : compare_order(a[0], b[0]);
}

static bool same_pair(const struct identifier *const *a, const struct identifier *const *b)
{
	return a[0]->path == b[0]->path && a[1]->path == b[1]->path;
}

static void report(const struct identifier *const pair[2], struct errors *errors)
{
	const struct identifier *first = pair[0], *second = pair[1];

	source_error(errors, source_place(second->file->proto, *second->path),
		     "%s %s and %s %s (%s) would both be '%s' in C: rename one", second->kind,
		     second->proto_name, first->kind, first->proto_name,
		     source_place(first->file->proto, *first->path), second->name);
}

/* Two definitions may clash in several identifiers: the pair is reported once, in the order of the files. */
static void check_names(struct list *list, struct errors *errors)
{
	const struct identifier *(*pairs)[2] = memory_array(list->count, sizeof(*pairs));
	size_t count = 0;

	qsort(list->items, list->count, sizeof(*list->items), compare_names);
	for (size_t i = 1; i < list->count; i++) {
		const struct identifier *first = &list->items[i - 1], *second = &list->items[i];

		if (strcmp(first->name, second->name) || (!first->file->generate && !second->file->generate))
			continue;
		pairs[count][0] = first;
		pairs[count++][1] = second;
	}
	qsort(pairs, count, sizeof(*pairs), compare_pairs);
	for (size_t i = 0; i < count; i++) {
		size_t seen = 0;

		while (seen < i && !same_pair(pairs[seen], pairs[i]))
			seen++;
		if (seen == i)
			report(pairs[i], errors);
	}
}

static void check_hashes(struct list *list, struct errors *errors)
{
	qsort(list->items, list->count, sizeof(*list->items), compare_hashes);
	for (size_t i = 1; i < list->count; i++) {
		const struct identifier *first = &list->items[i - 1], *second = &list->items[i];

		if (!first->hash || first->hash != second->hash || first->path == second->path)
			continue;
		source_error(errors, source_place(second->file->proto, *second->path),
			     "methods %s and %s (%s) have the same hash %016llx, which names a method on the "
			     "wire: "
			     "rename one",
			     second->proto_name, first->proto_name,
			     source_place(first->file->proto, *first->path),
			     (unsigned long long)second->hash);
	}
}

void clash_check(const struct model *model, bool stubs, struct errors *errors)
{
	size_t count = model->type_count * PER_TYPE;
	struct list list = {0};

	for (size_t i = 0; i < model->file_count; i++)
		for (size_t s = 0; s < model->files[i].service_count; s++)
			count += PER_SERVICE + model->files[i].services[s].method_count * PER_METHOD;
	list.items = memory_array(count, sizeof(*list.items));
	for (size_t i = 0; i < model->type_count; i++)
		add_type(&list, &model->types[i]);
	for (size_t i = 0; i < model->file_count; i++)
		for (size_t s = 0; s < model->files[i].service_count; s++)
			add_service(&list, &model->files[i], &model->files[i].services[s], stubs);
	check_names(&list, errors);
	check_hashes(&list, errors);
}
