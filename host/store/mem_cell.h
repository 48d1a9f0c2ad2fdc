/* mem_cell.h - cells of the store in memory: a map by name.
 *
 * A cell is written again and again, so unlike the rest of that store its text is freed with each
 * write and not kept in the arena.
 */
#ifndef TM_STORE_MEM_CELL_H
#define TM_STORE_MEM_CELL_H

#include "base/map.h"
#include "store/apply.h"

int tm_mem_cell_put(tm_map *cells, tm_batch *b, tm_op *op, tm_err *err);
int tm_mem_cell_read(const tm_map *cells, const tm_cell_filter *f, tm_cell_fn fn, void *ctx);
void tm_mem_cell_free(tm_map *cells);

#endif
