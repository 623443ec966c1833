#include "demo/tables.h"

namespace qkv::demo_tables {

// Rows of words; "_" stands for a space inside one, "-" for an empty one. The last column holds the
// tags, parted by commas.

const std::string_view kPronouns = R"(
i me my 我 i
you you your 你 many
he him his 他 one
she her her 她 one
we us our 我们 many
they them their 他们 many
)";

const std::string_view kNames = R"(
tom 汤姆 -
mary 玛丽 -
anna 安娜 -
david 大卫 -
lucy 露西 -
mr_wang 王先生 -
miss_li 李小姐 -
)";

const std::string_view kKin = R"(
mother 妈妈 my,your,his,her,our,their
father 爸爸 my,your,his,her,our,their
son 儿子 my,your,his,her,our,their
daughter 女儿 my,your,his,her,our,their
wife 妻子 my,your,his
husband 丈夫 my,your,her
uncle 叔叔 my,your,his,her,our,their
aunt 阿姨 my,your,his,her,our,their
grandfather 爷爷 my,your,his,her,our,their
grandmother 奶奶 my,your,his,her,our,their
older_brother 哥哥 my,your,his,her
younger_brother 弟弟 my,your,his,her
older_sister 姐姐 my,your,his,her
younger_sister 妹妹 my,your,his,her
)";

// Every noun brings its measure word.
const std::string_view kNouns = R"(
student students 个 学生 person,job
teacher teachers 位 老师 person,job,known
doctor doctors 位 医生 person,job
nurse nurses 位 护士 person,job
farmer farmers 位 农民 person,job
driver drivers 位 司机 person,job
singer singers 位 歌手 person,job
writer writers 位 作家 person,job
painter painters 位 画家 person,job
engineer engineers 位 工程师 person,job
worker workers 位 工人 person,job
soldier soldiers 名 士兵 person,job
policeman policemen 名 警察 person,job
tourist tourists 位 游客 person
guest guests 位 客人 person,known
neighbour neighbours 位 邻居 person,known
friend friends 位 朋友 person,known
boy boys 个 男孩 person,young
girl girls 个 女孩 person,young
man men 个 男人 person
woman women 个 女人 person
child children 个 孩子 person,young,known
dog dogs 只 狗 animal,pet,swim
cat cats 只 猫 animal,pet,climb,crawl
bird birds 只 鸟 animal,pet,fly
duck ducks 只 鸭子 animal,fly,swim
chicken chickens 只 鸡 animal
rabbit rabbits 只 兔子 animal,pet
monkey monkeys 只 猴子 animal,climb
tiger tigers 只 老虎 animal,wild
bear bears 只 熊 animal,wild,climb,crawl
panda pandas 只 熊猫 animal,climb
fox foxes 只 狐狸 animal,wild
horse horses 匹 马 animal,swim
cow cows 头 牛 animal
elephant elephants 头 大象 animal,swim
snake snakes 条 蛇 animal,wild,crawl
apple apples 个 苹果 food,small,fresh,sweet
pear pears 个 梨 food,small,fresh,sweet
egg eggs 个 鸡蛋 food,small,fresh
banana bananas 根 香蕉 food,small,fresh,sweet
cake cakes 块 蛋糕 food,small,sweet
book books 本 书 thing,text,small,lend,post
novel novels 本 小说 thing,text,small,lend,written
newspaper newspapers 份 报纸 text,small
letter letters 封 信 text,written,post,small
coat coats 件 外套 thing,cloth
shirt shirts 件 衬衫 thing,cloth
dress dresses 条 裙子 thing,cloth
hat hats 顶 帽子 thing,worn,small
watch watches 块 手表 thing,worn,small,post
table tables 张 桌子 thing,furniture
bed beds 张 床 thing,furniture
sofa sofas 张 沙发 thing,furniture
map maps 张 地图 thing,text,small,lend
ticket tickets 张 票 small,buy
photo photos 张 照片 small,post,look
chair chairs 把 椅子 thing,furniture
knife knives 把 刀 thing,tool,small
key keys 把 钥匙 small,tool
umbrella umbrellas 把 雨伞 thing,tool,small,lend
car cars 辆 汽车 thing,vehicle,road
truck trucks 辆 卡车 thing,vehicle,road
bicycle bicycles 辆 自行车 thing,vehicle,road,lend
bus buses 辆 公共汽车 vehicle,road
plane planes 架 飞机 vehicle
boat boats 条 船 thing,vehicle
computer computers 台 电脑 thing,device
camera cameras 台 相机 thing,device,lend,small
phone phones 部 手机 thing,device,small
film films 部 电影 film
pen pens 支 钢笔 thing,tool,small,lend
cup cups 个 杯子 thing,ware,small
bottle bottles 个 瓶子 ware,small,opens
bag bags 个 包 thing,small,carry
box boxes 个 箱子 thing,carry,opens
toy toys 个 玩具 thing,small,post
ball balls 个 球 thing,small
gift gifts 份 礼物 buy,post
door doors 扇 门 door,opens
window windows 扇 窗户 door,opens
house houses 栋 房子 building,thing
bridge bridges 座 桥 building
museum museums 座 博物馆 building,sight
shop shops 家 商店 building
hotel hotels 家 酒店 building
school schools 所 学校 building,sight
tree trees 棵 树 plant
flower flowers 朵 花 plant,small
song songs 首 歌 song
story stories 个 故事 written,text
question questions 个 问题 question
)";

const std::string_view kStuff = R"(
rice 米饭 fare
bread 面包 fare,snack
meat 肉 fare,dish
fish 鱼 fare,dish
noodles 面条 fare,dish
dumplings 饺子 fare,dish
vegetables 蔬菜 fare
soup 汤 drink,dish
tea 茶 drink
coffee 咖啡 drink
milk 牛奶 drink,snack
water 水 drink
juice 果汁 drink,snack
)";

// Tags that are no objects: state (no progressive, no 了), event (over at once: no progressive, no
// habit), animals (animals do it too), rare (not every day: takes months and years),
// same (past = base, so the time must tell).
const std::string_view kVerbs = R"(
eat eats ate eaten eating 吃 food,fare,animals
drink drinks drank drunk drinking 喝 drink
cook cooks cooked cooked cooking 做 dish
buy buys bought bought buying 买 thing,food,fare,snack,buy,rare
sell sells sold sold selling 卖 thing,rare
read reads read read reading 看 text,same
write writes wrote written writing 写 written
wash washes washed washed washing 洗 cloth,ware,road
open opens opened opened opening 打开 opens
close closes closed closed closing 关上 door
repair repairs repaired repaired repairing 修理 vehicle,device,furniture
find finds found found finding 找到 small,pet,event
lose loses lost lost losing 弄丢 small,event
look_for looks_for looked_for looked_for looking_for 找 small,pet,person
break breaks broke broken breaking 打碎 ware,event
carry carries carried carried carrying 搬 furniture,carry
use uses used used using 用 device,tool
borrow borrows borrowed borrowed borrowing 借 lend
draw draws drew drawn drawing 画 animal,plant,building
see sees saw seen seeing 看见 animal,person,vehicle,event
like likes liked liked liking 喜欢 animal,thing,food,fare,drink,film,song,plant,state
need needs needed needed needing 需要 thing,tool,state
want wants wanted wanted wanting 想要 thing,pet,state
know knows knew known knowing 认识 person,state
help helps helped helped helping 帮助 person
wait_for waits_for waited_for waited_for waiting_for 等 person
thank thanks thanked thanked thanking 感谢 person
invite invites invited invited inviting 邀请 person,rare
meet meets met met meeting 遇见 person,event
visit visits visited visited visiting 参观 sight,rare
feed feeds fed fed feeding 喂 animal
chase chases chased chased chasing 追 animal,animals
catch catches caught caught catching 抓住 wild,event
send sends sent sent sending 寄 post
watch watches watched watched watching 看 film
sing sings sang sung singing 唱 song
build builds built built building 建造 building,rare
plant plants planted planted planting 种 plant
answer answers answered answered answering 回答 question
)";

const std::string_view kActivities = R"(
sleep sleeps slept slept sleeping - 睡 觉 home,animals
rest rests rested rested resting - 休息 - home,out,animals
cry cries cried cried crying - 哭 - home,out
work works worked worked working - 工作 - public
study studies studied studied studying - 学习 - home,public
play plays played played playing - 玩 - home,out,animals
run runs ran run running - 跑 步 out
walk walks walked walked walking - 散 步 out
swim swims swam swum swimming - 游 泳 water,skill
dance dances danced danced dancing - 跳 舞 home,out,skill
sing sings sang sung singing - 唱 歌 home,out,skill
chat chats chatted chatted chatting - 聊 天 home,out,public
cook cooks cooked cooked cooking - 做 饭 home,skill
drive drives drove driven driving - 开 车 skill
travel travels travelled travelled travelling - 旅行 - city
fish fishes fished fished fishing - 钓 鱼 water,skill
play plays played played playing football 踢 足球 out,skill
play plays played played playing basketball 打 篮球 out,skill
play plays played played playing chess 下 棋 home,public,skill
play plays played played playing the_piano 弹 钢琴 home,skill
play plays played played playing games 玩 游戏 home
watch watches watched watched watching television 看 电视 home
listen_to listens_to listened_to listened_to listening_to music 听 音乐 home,out
listen_to listens_to listened_to listened_to listening_to the_radio 听 广播 home
take takes took taken taking photos 拍 照 out,city,public
wash washes washed washed washing the_dishes 洗 碗 home
do does did done doing homework 做 作业 home,public
learn learns learned learned learning chinese 学 中文 home,public
learn learns learned learned learning english 学 英语 home,public
fly flies flew flown flying a_kite 放 风筝 out
)";

const std::string_view kMotions = R"(
run runs ran run running 跑 across,into,out_of,up,down,towards,through,around,along,all
walk walks walked walked walking 走 across,into,out_of,up,down,towards,through,around,along,all
crawl crawls crawled crawled crawling 爬 across,into,out_of,towards,through,crawl
jump jumps jumped jumped jumping 跳 into,out_of,leap,all
climb climbs climbed climbed climbing 爬 up,down,climb,person
fly flies flew flown flying 飞 across,into,out_of,towards,over,through,fly
swim swims swam swum swimming 游 cross_water,swim,person
)";

const std::string_view kPlaces = R"(
on grass 草地 上 across,out,short
- road 马路 - across,along
in street 大街 上 across,along,out
on bridge 桥 上 across,towards
on playground 操场 上 across,around,out,go
in field 田野 里 across,out
by river 河 边 along,cross_water,towards,water,over
by lake 湖 边 around,cross_water,towards,water,over
on beach 海滩 上 along,towards,out,go
- hill 山坡 上 up,down,over
- mountain 山 上 up,down
- stairs 楼梯 上 up,down
- wall 墙 - leap,over,along
under tree 树 下 out,up_tree,around
in park 公园 里 out,into,out_of,through,around,towards,go
in garden 花园 里 out,into,out_of,through,towards
in forest 森林 里 out,into,out_of,through,towards
in village 村子 里 into,out_of,through,towards
- cave 山洞 里 into,out_of
on farm 农场 里 out,go
in kitchen 厨房 里 into,out_of,home
in bedroom 卧室 里 into,out_of,home
in living_room 客厅 里 into,out_of,home
in room 房间 里 into,out_of,home
in classroom 教室 里 into,out_of,public
in office 办公室 里 into,out_of,public
in library 图书馆 里 into,out_of,public,go,towards
in museum 博物馆 里 into,out_of,go,visit,towards
in cinema 电影院 里 into,out_of,go
in restaurant 饭店 里 into,out_of,public,go
in hospital 医院 里 into,out_of,go,towards
- bank 银行 里 into,out_of,go,towards
- market 市场 里 into,out_of,go,through
at station 车站 - into,out_of,towards,go,public
at airport 机场 - towards,go,public
- beijing 北京 - city
- shanghai 上海 - city
- london 伦敦 - city
- paris 巴黎 - city
)";

const std::string_view kSpots = R"(
on_the_table 桌子上 small
on_the_chair 椅子上 small,pet
on_the_bed 床上 small,pet
on_the_sofa 沙发上 small,pet
on_the_floor 地板上 small,pet
in_the_box 箱子里 small
in_the_bag 包里 small
in_the_drawer 抽屉里 small
in_the_car 汽车里 small,pet
under_the_table 桌子下面 small,pet
under_the_bed 床下面 small,pet
under_the_chair 椅子下面 small,pet
behind_the_door 门后面 small,pet
next_to_the_sofa 沙发旁边 small,pet,furniture
next_to_the_window 窗户旁边 small,pet,furniture
behind_the_house 房子后面 animal,vehicle,plant
in_front_of_the_house 房子前面 animal,vehicle,plant
next_to_the_bridge 桥旁边 animal,vehicle,plant
in_front_of_the_school 学校前面 vehicle,plant,person
in_the_park 公园里 animal,plant,person
in_the_garden 花园里 animal,plant,person
in_the_street 大街上 animal,vehicle,person
in_the_kitchen 厨房里 pet,furniture,person
in_the_room 房间里 pet,furniture,person
in_the_classroom 教室里 furniture,person
in_the_office 办公室里 furniture,device,person
)";

// Before a noun 大, 小, 新 and 旧 stand alone, the others take 的.
const std::string_view kQualities = R"(
big bigger 大 大 animal,thing,vehicle,building,tree
small smaller 小 小 thing,building,food
new newer 新 新 thing,vehicle,device
old older 旧 旧 thing,vehicle,device
expensive more_expensive 贵 昂贵的 thing
cheap cheaper 便宜 便宜的 thing,food
heavy heavier 重 沉重的 furniture,carry
clean cleaner 干净 干净的 cloth,ware,vehicle
dirty dirtier 脏 脏 cloth,ware,vehicle
beautiful more_beautiful 漂亮 漂亮的 cloth,worn,plant,building,device
useful more_useful 有用 有用的 tool,device,lend
interesting more_interesting 有意思 有意思的 text,film,written
boring more_boring 无聊 无聊的 text,film
strange stranger 奇怪 奇怪的 animal,film,question
sweet sweeter 甜 甜甜的 sweet
fresh fresher 新鲜 新鲜的 fresh
cute cuter 可爱 可爱的 pet,young
fat fatter 胖 胖胖的 animal
fast faster 快 - vehicle
difficult more_difficult 难 - question
tall taller 高 高个子 person,human
young younger 年轻 年轻的 person,human
clever cleverer 聪明 聪明的 person,animal,human
friendly friendlier 友好 友好的 person,human
famous more_famous 出名 出名的 job
rich richer 有钱 有钱的 person,human
brave braver 勇敢 勇敢的 person,human
lazy lazier 懒 - person,animal,human
tired - 累 - person,animal,human,mood
hungry - 饿 - person,animal,human,mood
thirsty - 渴 - person,animal,human,mood
happy - 高兴 - person,human,mood
sad - 难过 - person,human,mood
angry - 生气 - person,human,mood
busy busier 忙 - person,human,mood
nervous - 紧张 - person,human,mood
)";

const std::string_view kColours = R"(
red 红色的 -
blue 蓝色的 -
green 绿色的 -
yellow 黄色的 -
white 白色的 fur
black 黑色的 fur
brown 棕色的 fur
)";

const std::string_view kNumbers = R"(
two 两 hour
three 三 hour
four 四 hour
five 五 hour
six 六 hour
seven 七 hour
eight 八 hour
ten 十 hour
)";

const std::string_view kPast = R"(
yesterday 昨天 day
last_night 昨晚 day
this_morning 今天早上 day
last_week 上周 long
last_month 上个月 long
last_year 去年 long
)";

const std::string_view kFuture = R"(
tomorrow 明天 day
tonight 今晚 day
this_afternoon 今天下午 day
tomorrow_morning 明天早上 day
on_monday 星期一 day
on_friday 星期五 day
on_sunday 星期天 day
next_week 下周 long
next_month 下个月 long
next_year 明年 long
)";

const std::string_view kHabits = R"(
every_day 每天 day
every_morning 每天早上 -
every_evening 每天晚上 -
every_week 每周 -
every_monday 每个星期一 day
every_sunday 每个星期天 day
)";

const std::string_view kAdverbs = R"(
often 经常 -
always 总是 -
usually 通常 -
sometimes 有时候 -
)";

const std::string_view kDays = R"(
monday 星期一 -
tuesday 星期二 -
wednesday 星期三 -
thursday 星期四 -
friday 星期五 -
saturday 星期六 -
sunday 星期天 -
)";

const std::string_view kManners = R"(
happily 高兴地 -
quietly 安静地 -
carefully 认真地 -
)";

const std::string_view kVehicles = R"(
by_bus 坐公共汽车 -
by_train 坐火车 -
by_plane 坐飞机 far
by_taxi 坐出租车 -
by_car 开车 -
by_bicycle 骑自行车 near
on_foot 走路 near
)";

}  // namespace qkv::demo_tables
