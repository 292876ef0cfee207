# Frozen share by layer: W2/A2 SpQAT start 0%
# gnuplot layers-1.gp                      writes layers-1.svg
# gnuplot -e "format='png'" layers-1.gp   writes layers-1.png
if (!exists('format')) format = 'svg'
if (format eq 'png') {
  set terminal pngcairo noenhanced size 1440,944 font 'sans,11' fontscale 2 linewidth 2 pointscale 2
} else {
  set terminal svg noenhanced dynamic size 720,472 font 'sans-serif,14'
}
set output 'layers-1.'.format
set datafile separator comma
set datafile columnheaders
set border 3
set tics nomirror out
set grid lc rgb '#999999' lw 0.4 dt 3
set key samplen 3 reverse Left
set format '%h'
set palette defined (0 '#440154', 1 '#3B528B', 2 '#21918C', 3 '#5EC962', 4 '#FDE725')
set cbrange [0:100]
set cblabel 'frozen weights (%)'
unset grid
unset key
set border 15
set lmargin 18
set xlabel 'epoch'
set ytics ('conv1' 0, 'layer1.0.conv1' 1, 'layer1.0.conv2' 2, 'layer1.1.conv1' 3, 'layer1.1.conv2' 4, 'layer1.2.conv1' 5, 'layer1.2.conv2' 6, 'layer2.0.conv1' 7, 'layer2.0.conv2' 8, 'layer2.1.conv1' 9, 'layer2.1.conv2' 10, 'layer2.2.conv1' 11, 'layer2.2.conv2' 12, 'layer3.0.conv1' 13, 'layer3.0.conv2' 14, 'layer3.1.conv1' 15, 'layer3.1.conv2' 16, 'layer3.2.conv1' 17, 'layer3.2.conv2' 18) font ',11'
set yrange [18.5:-0.5]
set xrange [0.5:6.5]
set xtics 1
plot \
  'layers-1.csv' using 'epoch':'position':(column('epoch') - 0.51):(column('epoch') + 0.51):(column('position') - 0.51):(column('position') + 0.51):'frozen' with boxxyerror fs solid noborder lc palette
set output
