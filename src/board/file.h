// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a whole file in memory: kernels, initrds and ROM images */
#ifndef BOARD_FILE_H
#define BOARD_FILE_H

#include "base/base.h"

/* Read a regular file of 1..limit bytes. *data is page aligned and rounded up with zeros to whole pages; free with
 * file_free(). */
int file_read(const char *path, uint64_t limit, uint8_t **data, size_t *len, struct err *err);
void file_free(uint8_t *data, size_t len);

#endif
