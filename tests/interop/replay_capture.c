/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads pcap and pcapng files (by libpcap) down to the IP payload. */
#include "replay.h"

#include <arpa/inet.h>
#include <pcap/pcap.h>
#include <string.h>

#define ETHERTYPE_IP4  0x0800
#define ETHERTYPE_IP6  0x86dd
#define ETHERTYPE_VLAN 0x8100
#define IPPROTO_ICMP4  1
#define IPPROTO_ICMP6  58
#define IPPROTO_TCP4   6

void *replay_realloc(void *old, size_t bytes)
{
	void *memory = realloc(old, bytes ? bytes : 1);

	if (!memory) {
		fprintf(stderr, "homa-replay: out of memory: %zu bytes\n", bytes);
		exit(2);
	}
	return memory;
}

const char *ip_text(const struct net_ip *ip)
{
	static char text[4][INET6_ADDRSTRLEN];
	static int next;
	char *to = text[next++ & 3];

	if (net_ip_is_v4(ip))
		inet_ntop(AF_INET, ip->b + 12, to, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, ip->b, to, INET6_ADDRSTRLEN);
	return to;
}

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

/* An IP packet's addresses, protocol and payload. */
struct ip_packet {
	struct net_ip source, destination;
	uint8_t tos, protocol;
	uint32_t header, total; /* bytes */
};

/* False for what is no whole IP header, or a fragment. */
static bool parse_ip(const uint8_t *data, uint32_t captured, struct ip_packet *ip)
{
	__be32 address;

	if (captured >= 20 && data[0] >> 4 == 4) {
		ip->header = (data[0] & 15) * 4u;
		ip->total = get16(data + 2);
		ip->tos = data[1];
		ip->protocol = data[9];
		memcpy(&address, data + 12, 4);
		ip->source = net_ip_from_v4(address);
		memcpy(&address, data + 16, 4);
		ip->destination = net_ip_from_v4(address);
		return ip->header >= 20 && !(get16(data + 6) & 0x3fff);
	}
	if (captured < 40 || data[0] >> 4 != 6)
		return false;
	ip->header = 40;
	ip->total = 40u + get16(data + 4);
	ip->tos = (uint8_t)(get16(data) >> 4);
	ip->protocol = data[6];
	memcpy(ip->source.b, data + 8, 16);
	memcpy(ip->destination.b, data + 24, 16);
	return true;
}

/* Bytes before the IP header, or -1. */
static int link_header_bytes(int link_type, const uint8_t *data, uint32_t captured)
{
	uint32_t at = 12;

	if (link_type == DLT_RAW)
		return 0;
	if (link_type == DLT_LINUX_SLL)
		return captured >= 16 ? 16 : -1;
	if (link_type != DLT_EN10MB)
		return -1;
	while (at + 2 <= captured && get16(data + at) == ETHERTYPE_VLAN)
		at += 4;
	if (at + 2 > captured || (get16(data + at) != ETHERTYPE_IP4 && get16(data + at) != ETHERTYPE_IP6))
		return -1;
	return (int)at + 2;
}

static bool is_homa(const struct ip_packet *ip, const uint8_t *payload, uint32_t length)
{
	if (ip->protocol == HOMA_IPPROTO)
		return true;
	return ip->protocol == IPPROTO_TCP4 && length >= sizeof(struct homa_common_header) &&
	       homa_is_hijacked((const void *)payload);
}

/* What an ICMP error means for Homa; false for other ICMP. */
static bool icmp_meaning(uint8_t protocol, uint8_t type, uint8_t code, enum homa_icmp *meaning)
{
	*meaning = HOMA_ICMP_HOST;
	if (protocol == IPPROTO_ICMP4) {
		if (code == 3)
			*meaning = HOMA_ICMP_PORT;
		else if (code == 2)
			*meaning = HOMA_ICMP_PROTOCOL;
		return type == 3;
	}
	if (type == 4 && code == 1)
		*meaning = HOMA_ICMP_PROTOCOL;
	else if (type == 1 && code == 4)
		*meaning = HOMA_ICMP_PORT;
	return type == 1 || (type == 4 && code == 1);
}

static void parse_icmp(struct frame *frame, uint8_t protocol)
{
	struct ip_packet quoted;

	if (frame->length < 8 || !icmp_meaning(protocol, frame->data[0], frame->data[1], &frame->icmp) ||
	    !parse_ip(frame->data + 8, frame->length - 8, &quoted))
		return;
	frame->quoted = 8 + quoted.header;
	if (frame->quoted + sizeof(struct homa_common_header) > frame->length ||
	    !is_homa(&quoted, frame->data + frame->quoted, frame->length - frame->quoted))
		return;
	frame->quoted_to = quoted.destination;
	frame->kind = FRAME_ICMP;
}

/* Linux Homa has the device make a TCP checksum, with TCP's number in the pseudo-header. */
static bool checksum_good(const struct frame *frame)
{
	const uint8_t *addresses[] = {frame->source.b, frame->destination.b};
	uint32_t first = net_ip_is_v4(&frame->source) ? 12 : 0, sum = IPPROTO_TCP4 + frame->length;

	for (int i = 0; i < 2; i++)
		for (uint32_t at = first; at < 16; at += 2)
			sum += get16(addresses[i] + at);
	for (uint32_t at = 0; at < frame->length; at += 2) /* there is a zero behind the last byte */
		sum += get16(frame->data + at);
	sum = (sum & 0xffff) + (sum >> 16);
	return ((sum & 0xffff) + (sum >> 16)) == 0xffff;
}

static void parse_homa(struct frame *frame)
{
	frame->bad = homa_check_common((const void *)frame->data, frame->length);
	if (frame->bad == HOMA_OK && frame->data[offsetof(struct homa_common_header, type)] == HOMA_DATA)
		frame->bad = homa_check_data((const void *)frame->data, frame->length);
	frame->kind = frame->bad == HOMA_OK ? FRAME_HOMA : FRAME_BAD;
	frame->checksum_good = checksum_good(frame);
}

static void parse_frame(struct frame *frame, int link_type, const uint8_t *data, uint32_t captured)
{
	int link = link_header_bytes(link_type, data, captured);
	struct ip_packet ip;
	uint32_t available;

	if (link < 0 || (uint32_t)link >= captured ||
	    !parse_ip(data + link, captured - (uint32_t)link, &ip) || ip.total < ip.header ||
	    captured - (uint32_t)link < ip.header)
		return;
	frame->source = ip.source;
	frame->destination = ip.destination;
	frame->priority = ip.tos >> 5;
	frame->length = ip.total - ip.header;
	frame->data = replay_realloc(NULL, frame->length + HOMA_MAX_HEADER);
	memset(frame->data, 0, frame->length + HOMA_MAX_HEADER);
	available = captured - (uint32_t)link - ip.header;
	memcpy(frame->data, data + link + ip.header, available < frame->length ? available : frame->length);
	if (ip.protocol == IPPROTO_ICMP4 || ip.protocol == IPPROTO_ICMP6)
		parse_icmp(frame, ip.protocol);
	else if (is_homa(&ip, frame->data, frame->length))
		parse_homa(frame);
}

bool capture_read(struct capture *capture, const char *path)
{
	char error[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *header;
	const u_char *data;
	int status, capacity = 0;
	pcap_t *pcap = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, error);

	*capture = (struct capture){.path = path};
	if (!pcap) {
		fprintf(stderr, "homa-replay: %s: %s\n", path, error);
		return false;
	}
	while ((status = pcap_next_ex(pcap, &header, &data)) == 1) {
		struct frame *frame;

		if (capture->frame_count == capacity) {
			capacity = capacity ? capacity * 2 : 256;
			capture->frames =
			    replay_realloc(capture->frames, (size_t)capacity * sizeof(struct frame));
		}
		frame = &capture->frames[capture->frame_count++];
		*frame = (struct frame){.number = (uint32_t)capture->frame_count, .rpc = -1, .hold_back = -1};
		frame->time_ns = (uint64_t)header->ts.tv_sec * 1000000000ull + (uint64_t)header->ts.tv_usec;
		if (capture->frame_count > 1 && frame->time_ns < frame[-1].time_ns)
			frame->time_ns = frame[-1].time_ns;
		parse_frame(frame, pcap_datalink(pcap), data, header->caplen);
	}
	if (status == PCAP_ERROR)
		fprintf(stderr, "homa-replay: %s: %s\n", path, pcap_geterr(pcap));
	pcap_close(pcap);
	return status != PCAP_ERROR;
}

void capture_free(struct capture *capture)
{
	for (int i = 0; i < capture->frame_count; i++)
		free(capture->frames[i].data);
	for (int i = 0; i < capture->rpc_count; i++) {
		for (int m = REQUEST; m <= RESPONSE; m++) {
			free(capture->rpcs[i].message[m].bytes);
			free(capture->rpcs[i].message[m].have);
		}
	}
	free(capture->frames);
	free(capture->rpcs);
	free(capture->hosts);
}
