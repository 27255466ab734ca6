// SPDX-License-Identifier: GPL-2.0-or-later
/* what: fuzz target: bytes of a client of the control socket, to the server of a whole machine
 *
 * A client that has negotiated sends the input in pieces and reads what comes. Commands that name files of the host do
 * what they are told, so inputs with such are left out: a mutated name may be one that matters.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "api/api_int.h"
#include "board/pc_int.h"
#include "fuzz.h"

#define ROUNDS 64

static bool names_files(const uint8_t *data, size_t size)
{
	static const char *const words[] = { "filename", "screendump", "change", "\\u" };

	for (unsigned i = 0; i < ARRAY_LEN(words); i++)
		if (memmem(data, size, words[i], strlen(words[i])))
			return true;
	return false;
}

static void serve(struct pc *pc, int fd)
{
	char out[65536];

	for (unsigned i = 0; i < ROUNDS; i++) {
		pc->service.ready(pc->service.opaque);
		if (recv(fd, out, sizeof(out), MSG_DONTWAIT) <= 0)
			break;
	}
	loop_step(pc->loop, 1000000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char hello[] = "{\"execute\":\"qmp_capabilities\"}";
	struct fuzz_machine m;
	struct err err;
	struct api *api;
	int fd[2];

	if (names_files(data, size))
		return 0;
	fuzz_machine_make(&m);
	api = api_open(m.pc, &(struct api_config){ .name = NULL }, &err);
	must(api && !socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd));
	api_add_client(api, fd[0]);
	must(send(fd[1], hello, sizeof(hello) - 1, 0) > 0);
	serve(m.pc, fd[1]);
	while (size) {
		size_t n = MIN(size, 1u + data[0] % 97);

		if (send(fd[1], data, n, MSG_NOSIGNAL) < 0)
			break;
		data += n;
		size -= n;
		serve(m.pc, fd[1]);
	}
	api_close(api);
	close(fd[1]);
	fuzz_machine_free(&m);
	return 0;
}
