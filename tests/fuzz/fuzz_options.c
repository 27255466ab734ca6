// SPDX-License-Identifier: GPL-2.0-or-later
/* what: fuzz target: the option parser of `ring3 run`; words are separated by newlines in the input
 */
#include <stdlib.h>

#include "cli/cli.h"
#include "fuzz.h"

#define WORDS_MAX 40

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *rest = text, *word, *argv[WORDS_MAX + 1];
	struct run_options o = { 0 };
	struct err err;
	int argc = 0;

	must(text);
	memcpy(text, data, size);
	text[size] = 0;
	while (argc < WORDS_MAX && (word = strsep(&rest, "\n")))
		argv[argc++] = word;
	argv[argc] = NULL;
	err.msg[0] = 0;
	if (options_parse(&o, argc, argv, &err))
		must(err.msg[0] && strlen(err.msg) < sizeof(err.msg));
	options_free(&o);
	free(text);
	return 0;
}
