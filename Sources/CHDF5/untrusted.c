// What a file may ask for that reaches beyond the file: other files, and code that HDF5 loads at run time.

#include "CHDF5.h"

static herr_t refuse(
    const char *file, const char *group, const char *other, const char *object, unsigned *flags, hid_t access,
    void *context) {
  (void)file, (void)group, (void)other, (void)object, (void)flags, (void)access, (void)context;
  return -1;
}

// The path of a soft link may lead through one to another file.
static int is_in_file(hid_t file, const char *path) {
  hid_t access = H5Pcreate(H5P_LINK_ACCESS);
  if (access < 0) return 0;
  int found = H5Pset_elink_cb(access, refuse, NULL) >= 0 && H5Oexists_by_name(file, path, access) > 0;
  H5Pclose(access);
  return found;
}

chdf5_link chdf5_follow(hid_t file, const char *path) {
  H5L_info_t link;
  if (H5Lget_info(file, path, &link, H5P_DEFAULT) < 0) return CHDF5_LINK_NOWHERE;
  switch (link.type) {
    case H5L_TYPE_HARD: return CHDF5_LINK_INSIDE;
    case H5L_TYPE_SOFT: return is_in_file(file, path) ? CHDF5_LINK_INSIDE : CHDF5_LINK_NOWHERE;
    default: return CHDF5_LINK_OUTSIDE;
  }
}

chdf5_layout chdf5_dataset_layout(hid_t dataset) {
  hid_t list = H5Dget_create_plist(dataset);
  if (list < 0) return CHDF5_LAYOUT_UNKNOWN;
  chdf5_layout layout = CHDF5_LAYOUT_OWN;
  if (H5Pget_layout(list) == H5D_VIRTUAL)
    layout = CHDF5_LAYOUT_VIRTUAL;
  else if (H5Pget_external_count(list) > 0)
    layout = CHDF5_LAYOUT_EXTERNAL;
  int filters = H5Pget_nfilters(list);
  for (int index = 0; index < filters && layout == CHDF5_LAYOUT_OWN; ++index) {
    unsigned flags, configuration;
    size_t values = 0;
    H5Z_filter_t filter = H5Pget_filter2(list, (unsigned)index, &flags, &values, NULL, 0, NULL, &configuration);
    if (filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE && filter != H5Z_FILTER_FLETCHER32)
      layout = CHDF5_LAYOUT_FILTERED;
  }
  H5Pclose(list);
  return layout;
}
